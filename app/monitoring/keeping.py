"""The monitors as they are kept: read, changed, and written back by whoever was first.

A monitor is changed in memory and kept as a whole; if another process has kept one meanwhile, that
one is read and changed instead. What could not be kept has not happened. Notes of the log are read
after the state, and what becomes of them is part of the transaction that replaces it.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from app.clock import now
from app.errors import ConflictError, StorageUnavailableError
from app.monitoring.filling import Waiting
from app.monitoring.log import monitored
from app.monitoring.monitor import Monitor
from app.monitoring.notes import Monitored, Raised, Reference
from app.monitoring.references import References
from app.monitoring.showing import Showing
from app.monitoring.taking import AT_ONCE, take_in
from app.monitoring.telling import Told, tell
from app.monitoring.testing import WindowTester
from app.monitoring.window_record import Said
from app.monitoring.windows import far_apart, full_of
from app.notices.alarms import standing
from app.storage import Storage
from app.storage.cache import Cache
from app.storage.drift_notes import DriftNotes, Taken
from app.storage.drift_states import Change, DriftStates
from app.storage.version_reader import Stored
from app.storage.version_rows import Entry
from detector.drift.promise import Promise
from detector.errors import ArtefactError, DetectorError, InvalidSpecError

log = logging.getLogger(__name__)

TRIES = 10
Work = Callable[[Stored, Monitor], Change | Taken | None]
"""Changes a monitor; says what the audit shall hold of it, or which notes it has taken in."""


class Monitors:
    """Of all detectors; used by one thread at a time."""

    def __init__(
        self,
        promise: Promise,
        storage: Storage,
        showing: Showing,
        cached: int,
        sinks: Sequence[str] = (),
        blocks: Mapping[str, int] | None = None,
    ) -> None:
        """Take the promise of each, and the channels of each block of squeezes, if known."""
        self._promise, self._sinks = promise, sinks
        self._versions = storage.versions
        self._states = DriftStates(storage.database)
        self.showing = showing
        self._cache: Cache[tuple[Monitor, int]] = Cache(cached)
        self._references = References(storage, blocks or {})
        self._notes = DriftNotes(storage.database)
        self.testing = WindowTester(self._references)
        self._under_test: set[tuple[str, int]] = set()
        self._shown: dict[str, int] = {}

    def test(self, name: str) -> None:
        """Let the windows of a detector be tested that wait for it.

        One that cannot be put together, for what is kept of it is damaged, waits no more.

        Raises:
            as ``told``, and ConflictError
        """
        stored = self._versions.get(name)
        monitor, _ = self._monitor(stored)
        entry, reference = stored.entry, monitor.reference
        for waiting in [*monitor.windows.waiting]:
            if (entry.id, waiting.last) in self._under_test:
                continue
            try:
                images = self._images(entry.id, waiting.since, waiting.last)
                full = full_of(stored, monitor, waiting, images)
            except (StorageUnavailableError, OSError):
                raise
            except Exception as error:
                if self._hear(entry, reference, waiting):
                    log.error("a window of %r cannot be read", name, exc_info=error)
                continue
            if self.testing.submit(full):
                self._under_test.add((entry.id, waiting.last))

    def settle(self) -> None:
        """Keep what was said of windows that were tested; if that fails, another time.

        Raises:
            StorageUnavailableError, ConflictError
        """
        results = self.testing.fetch()
        while results:
            full, said, never = results[0].full, results[0].said, results[0].never
            try:
                self._hear(full.stored.entry, full.reference, full.waiting, said, never)
            except (StorageUnavailableError, ConflictError):
                self.testing.put_back(results)
                raise
            except DetectorError:
                pass  # it is gone, or cannot be watched any more
            results.pop(0)
            self._under_test.discard((full.stored.entry.id, full.number))

    def _hear(
        self,
        entry: Entry,
        reference: Reference,
        waiting: Waiting,
        said: Said | None = None,
        never: str = "",
    ) -> bool:
        """Keep what was said of a window, unless somebody has, or the baseline is another one.

        Return whether it has waited for that.
        """
        raised: list[Raised] = []
        waits = is_same = False

        def work(stored: Stored, monitor: Monitor) -> None:
            nonlocal waits, is_same
            same = stored.entry.id == entry.id and monitor.reference.epoch == reference.epoch
            is_same, waits = same, same and monitor.windows.answered(waiting)
            raised.clear()
            if waits and said is not None:
                raised[:] = monitor.hear(said)
            elif waits and never:
                monitor.decide(never)

        self.change(entry.name, work)
        if waits and said is not None:
            self.showing.tested(entry.name, said, raised)
        elif waits or not is_same:
            self.showing.untested(entry.name, "skipped" if said else "error")
        return waits

    def rebaseline(self, stored: Stored, monitor: Monitor, images: int, at: datetime) -> None:
        """Compare with the last images from now on, windows too, if enough of them are at hand.

        Raises:
            as ``Monitor.rebaseline``.
        """
        monitor.rebaseline(stored.detector, images, at)
        since, every = monitor.state.images - images, monitor.state.thinning.every
        kept = self._images(stored.entry.id, since, monitor.state.images)
        blob = self._references.keep(stored, far_apart(kept, since, every), monitor.state.line)
        monitor.reference = replace(monitor.reference, blob=blob)
        monitor.decide(self._references.why_not(stored, monitor))

    def change(self, name: str, work: Work, *, latest: bool = True) -> Monitor:
        """Do something to a monitor and keep what became of it; again if another process has.

        Unless it must be the latest one from the start, the one at hand is tried first without
        asking whether there is another: writing it would tell.

        Raises:
            UnknownDetectorError, NotCalibratedError, StaleCalibrationError, StorageUnavailableError
            InvalidSpecError: if its calibration cannot be a baseline under this promise.
            ConflictError: if others change it all the time.
        """
        for attempt in range(TRIES):
            stored = self._versions.get(name)
            identity = stored.entry.id
            monitor, counter = self._monitor(stored, latest=latest or attempt > 0)
            self._cache.drop(identity)  # until what becomes of it is kept
            try:
                change = work(stored, monitor)
                taken, change = (change, None) if isinstance(change, Taken) else (None, change)
                told = standing(stored.entry, monitor, change, self._sinks)
                counter = self._states.put(
                    identity,
                    monitor.to_bytes(),
                    counter,
                    change,
                    told,
                    monitor.reference.blob,
                    windows=len(monitor.windows.waiting),
                    taken=taken,
                )
            except ConflictError:
                continue
            self._cache.keep(identity, (monitor, counter))
            self._shown[identity] = counter
            self.showing.stands(name, monitor)
            return monitor
        raise ConflictError(f"the drift state of {name!r} changes all the time: try again")

    def _monitor(self, stored: Stored, *, latest: bool = True) -> tuple[Monitor, int]:
        """Return the monitor as it was kept last, by any process or by this one; its counter."""
        identity = stored.entry.id
        kept = self._cache.get(identity)
        if kept is not None and (not latest or kept[1] == self._states.counter(identity)):
            monitor, counter = kept
        else:
            content, counter = self._states.get(identity)
            monitor = self._read(content) or Monitor.begun(stored, self._promise, now())
        known = monitor.reference
        monitor.follow(stored.detector, now())
        if monitor.reference is known:
            self._cache.keep(identity, (monitor, counter))
        else:  # not what was kept, nor to be taken for it should the old version serve again
            self._cache.drop(identity)
        if not monitor.is_decided:
            monitor.decide(self._references.why_not(stored, monitor))
        return monitor, counter

    def _read(self, content: bytes) -> Monitor | None:
        try:
            return Monitor.from_bytes(content, self._promise) if content else None
        except ArtefactError as error:
            log.error("a drift state cannot be read: its evidence begins anew", exc_info=error)
            return None

    def told(self, name: str) -> Told:
        """Return how a detector's monitors stand, with notes that wait to be taken; writes nothing.

        Raises:
            UnknownDetectorError, NotCalibratedError, StaleCalibrationError, StorageUnavailableError
        """
        stored = self._versions.get(name)
        # Before the state: what is taken in between is in both, and counts once.
        untaken = self._notes.untaken(stored.entry.id, AT_ONCE)
        try:
            monitor, _ = self._monitor(stored)
        except InvalidSpecError as error:
            return Told(stored.entry, "disabled", [str(error)])
        if untaken:
            self._cache.drop(stored.entry.id)  # it is not what is kept
            take_in(stored, monitor, untaken)
        return tell(stored.entry, monitor)

    def show_all(self) -> None:
        """Show what was kept since the last time, by any process; reads no detector.

        So a restart ends no alarm, and one that was acknowledged elsewhere is not shown here.
        """
        counters = self._states.counters()
        for entry in self._versions.all():
            counter = counters.get(entry.id, 0)
            if counter == self._shown.get(entry.id, 0):
                continue
            content, self._shown[entry.id] = self._states.get(entry.id)
            with contextlib.suppress(InvalidSpecError):  # whoever asks is told
                monitor = self._read(content)
                if monitor is not None:
                    self.showing.stands(entry.name, monitor)
        self._shown = {each: self._shown[each] for each in counters if each in self._shown}

    def _images(self, identity: str, since: int, last: int) -> list[Monitored]:
        """Return the images of these numbers that are kept."""
        kept = self._notes.kept(identity, since, last)
        return [image for content, squeezes in kept for image in monitored(content, squeezes)]
