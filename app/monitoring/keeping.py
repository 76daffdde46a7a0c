"""The monitors as they are kept: read, changed, and written back by whoever was first.

A monitor is changed in memory and kept as a whole; if another process has kept one meanwhile, that
one is read and changed instead. What could not be kept has not happened.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence

from app.errors import ConflictError, UnknownDetectorError
from app.monitoring.monitor import Monitor, Note, Raised, key_of
from app.monitoring.showing import Showing
from app.monitoring.telling import Told, tell
from app.storage import Storage
from app.storage.cache import Cache
from app.storage.drift_states import Change, DriftStates
from app.storage.tables import now
from app.storage.version_reader import Stored
from detector.drift.promise import Promise
from detector.errors import ArtefactError, InvalidSpecError

log = logging.getLogger(__name__)

TRIES = 10
Work = Callable[[Stored, Monitor], Change | None]
"""Changes a monitor, and says what the audit shall hold of it."""


class Monitors:
    """Of all detectors; used by one thread at a time."""

    def __init__(self, promise: Promise, storage: Storage, showing: Showing, cached: int) -> None:
        self._promise = promise
        self._versions = storage.versions
        self._states = DriftStates(storage.database)
        self._showing = showing
        self._cache: Cache[tuple[Monitor, int]] = Cache(cached)

    def feed(self, name: str, notes: Sequence[Note], dropped: int) -> None:
        """Take in images of one detector, in order, and how many could not be noted.

        Raises:
            UnknownDetectorError: if it was deleted.
            as ``change``.
        """
        raised: list[Raised] = []
        taken: list[Note] = []

        def work(stored: Stored, monitor: Monitor) -> None:
            if stored.entry.id != notes[0].stored.entry.id:
                raise UnknownDetectorError(f"{name!r} was deleted, and another one has its name")
            taken[:] = [note for note in notes if _compares(note, stored, monitor)]
            raised[:] = [each for note in taken for each in monitor.take(note)]
            monitor.dropped += dropped

        monitor = self.change(name, work)
        self._showing.seen(name, monitor, taken, raised)

    def change(self, name: str, work: Work) -> Monitor:
        """Do something to a monitor and keep what became of it; again if another process has.

        Raises:
            UnknownDetectorError, NotCalibratedError, StaleCalibrationError, StorageUnavailableError
            InvalidSpecError: if its calibration cannot be a baseline under this promise.
            ConflictError: if others change it all the time.
        """
        for _ in range(TRIES):
            stored = self._versions.get(name)
            identity = stored.entry.id
            monitor, counter = self._monitor(stored)
            self._cache.drop(identity)  # until what becomes of it is kept
            change = work(stored, monitor)
            try:
                counter = self._states.put(identity, monitor.to_bytes(), counter, change)
            except ConflictError:
                continue
            self._cache.keep(identity, (monitor, counter))
            self._showing.stands(name, monitor)
            return monitor
        raise ConflictError(f"the drift state of {name!r} changes all the time: try again")

    def _monitor(self, stored: Stored) -> tuple[Monitor, int]:
        """Return the monitor as it was kept last, by any process, and its counter."""
        identity = stored.entry.id
        counter, kept = self._states.counter(identity), self._cache.get(identity)
        if kept is not None and kept[1] == counter:
            monitor = kept[0]
        else:
            content, counter = self._states.get(identity)
            monitor = self._read(content) or Monitor.begun(stored, self._promise, now())
        monitor.follow(stored.detector, now())
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
            monitor, counter = self._monitor(stored)
        except InvalidSpecError as error:
            return Told(stored.entry, "disabled", [str(error)])
        self._cache.keep(stored.entry.id, (monitor, counter))
        return tell(stored.entry, monitor)

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
