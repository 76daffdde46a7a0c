"""The monitors as they are kept: read, changed, and written back by whoever was first.

A monitor is changed in memory and kept as a whole; if another process has kept one meanwhile, that
one is read and changed instead. What could not be kept has not happened.
"""

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from app.errors import ConflictError, StorageUnavailableError, UnknownDetectorError
from app.monitoring.monitor import Monitor, key_of
from app.monitoring.notes import Monitored, Note, Raised
from app.monitoring.references import References
from app.monitoring.showing import Showing
from app.monitoring.telling import Told, tell
from app.monitoring.testing import Answered, WindowTester
from app.monitoring.windows import Windows
from app.notices.alarms import standing
from app.storage import Storage
from app.storage.cache import Cache
from app.storage.drift_states import Change, DriftStates
from app.storage.tables import now
from app.storage.version_reader import Stored
from detector.drift.promise import Promise
from detector.errors import ArtefactError, DetectorError, InvalidSpecError

log = logging.getLogger(__name__)

TRIES = 10
Work = Callable[[Stored, Monitor], Change | None]
"""Changes a monitor, and says what the audit shall hold of it."""


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
        self._showing = showing
        self._cache: Cache[tuple[Monitor, int]] = Cache(cached)
        self._references = References(storage, blocks or {})
        self._windows = Windows(cached)
        self.testing = WindowTester(self._references)

    def feed(self, name: str, notes: Sequence[Note], dropped: int) -> None:
        """Take in images of one detector, in order, and how many could not be noted.

        Raises:
            UnknownDetectorError: if it was deleted.
            as ``change``.
        """
        raised: list[Raised] = []
        taken: list[Note] = []
        monitored: list[Monitored] = []
        by: list[Stored] = []

        def work(stored: Stored, monitor: Monitor) -> None:
            monitored.clear()
            by[:] = [stored]
            if stored.entry.id != notes[0].stored.entry.id:
                raise UnknownDetectorError(f"{name!r} was deleted, and another one has its name")
            taken[:] = [note for note in notes if _compares(note, stored, monitor)]
            raised[:] = [each for note in taken for each in monitor.take(note, monitored)]
            monitor.dropped += dropped

        monitor = self.change(name, work, latest=False)
        self._showing.seen(name, monitor, taken, raised)
        for full in self._windows.add(by[0], monitor, monitored):
            if not self.testing.submit(full):
                self._showing.untested(name, "skipped")
        self._showing.fills(name, self._windows.filled(by[0].entry.id, monitor.reference))

    def settle(self) -> None:
        """Keep what was said of windows that were tested; if that fails, another time.

        Raises:
            StorageUnavailableError, ConflictError
        """
        results = self.testing.fetch()
        while results:
            try:
                self._hear(results[0])
            except (StorageUnavailableError, ConflictError):
                self.testing.put_back(results)
                raise
            except DetectorError:
                pass  # it is gone, or cannot be watched any more
            del results[0]

    def _hear(self, tested: Answered) -> None:
        """Keep what was said of a window, unless the baseline is another one by now."""
        entry, reference = tested.full.stored.entry, tested.full.reference
        raised: list[Raised] = []
        is_heard = False

        def work(stored: Stored, monitor: Monitor) -> None:
            nonlocal is_heard
            same = stored.entry.id == entry.id and monitor.reference.epoch == reference.epoch
            is_heard = same and tested.said is not None
            raised.clear()
            if same and tested.said is not None:
                raised[:] = monitor.hear(tested.said)
            elif same and tested.never:
                monitor.decide(tested.never)

        self.change(entry.name, work)
        if is_heard and tested.said is not None:
            self._showing.tested(entry.name, tested.said, raised)
        else:
            self._showing.untested(entry.name, "skipped" if tested.said else "error")

    def rebaseline(self, stored: Stored, monitor: Monitor, images: int, at: datetime) -> None:
        """Compare with the last images from now on, windows too, if enough of them are at hand.

        Raises:
            as ``Monitor.rebaseline``.
        """
        monitor.rebaseline(stored.detector, images, at)
        since, every = monitor.state.images - images, monitor.state.thinning.every
        last = self._windows.last(stored.entry.id, since, every)
        blob = self._references.keep(stored, last, monitor.state.line)
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
            change = work(stored, monitor)
            told = standing(stored.entry, monitor, change, self._sinks)
            try:
                content, blob = monitor.to_bytes(), monitor.reference.blob
                counter = self._states.put(identity, content, counter, change, told, blob)
            except ConflictError:
                continue
            self._cache.keep(identity, (monitor, counter))
            self._showing.stands(name, monitor)
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
        """Return how a detector's monitors stand; writes nothing.

        Raises:
            UnknownDetectorError, NotCalibratedError, StaleCalibrationError, StorageUnavailableError
        """
        stored = self._versions.get(name)
        try:
            monitor, _ = self._monitor(stored)
        except InvalidSpecError as error:
            return Told(stored.entry, "disabled", [str(error)])
        filled = self._windows.filled(stored.entry.id, monitor.reference)
        return tell(stored.entry, monitor, filled)

    def show_all(self) -> None:
        """Show what was kept, so that a restart ends no alarm; reads no detector."""
        entries = self._versions.all()
        kept = {entry.name: self._states.get(entry.id)[0] for entry in entries}
        for name, content in kept.items():
            with contextlib.suppress(InvalidSpecError):  # whoever asks is told
                monitor = self._read(content)
                if monitor is not None:
                    self._showing.stands(name, monitor)


def _compares(note: Note, stored: Stored, monitor: Monitor) -> bool:
    """Return whether a note is of what is in service now, or of a version with its scores."""
    detector = note.stored.detector
    if detector.version == stored.detector.version:
        return True
    return key_of(detector.require_calibrated()) == monitor.reference.key
