"""The state of every detector's drift in a word, as ``Watch.show`` tells it, without its detector.

A page of all detectors must not read what each was fitted to, nor take the place of those that
score in memory. The word needs only calibration and line, a small file, and the state as it was
kept; and it stays as long as that state and the version in service do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.clock import now
from app.drift_telemetry import State
from app.errors import StorageUnavailableError
from app.monitoring.monitor import Monitor
from app.monitoring.telling import word
from app.settings import Settings
from app.storage import Storage
from app.storage.drift_states import DriftStates
from app.storage.version_rows import Entry
from detector.drift.promise import Promise
from detector.errors import (
    ArtefactError,
    DetectorError,
    InvalidSpecError,
    NotCalibratedError,
    StaleCalibrationError,
)


@dataclass(frozen=True, slots=True)
class _Known:
    """A word, of which version in service and which writing of its state."""

    decision: str
    counter: int
    word: State | None


class Words:
    """Used by one thread at a time."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        images = settings.drift_false_alarm_images
        self._promise = Promise(float(images)) if images else None
        self._versions = storage.versions
        self._states = DriftStates(storage.database)
        self._known: dict[str, _Known] = {}

    def of(self, entries: Sequence[Entry]) -> Mapping[str, State | None]:
        """Return the words of detectors at their versions in service, by id.

        None where there is nothing to compare with: no calibration, or one of another fit.

        Raises:
            StorageUnavailableError
        """
        if self._promise is None:
            return dict.fromkeys((entry.id for entry in entries), "disabled")
        counters = self._states.counters()
        self._known = {
            entry.id: self._looked(entry, counters.get(entry.id, 0), self._promise)
            for entry in entries
        }
        return {identity: known.word for identity, known in self._known.items()}

    def _looked(self, entry: Entry, counter: int, promise: Promise) -> _Known:
        decision = f"{entry.version.files.decision}#{entry.version.version}"
        known = self._known.get(entry.id)
        if known is not None and (known.decision, known.counter) == (decision, counter):
            return known
        try:
            return _Known(decision, counter, self._word(entry, counter, promise))
        except StorageUnavailableError:
            raise
        except DetectorError:  # its file is damaged, or just deleted: who asks for it is told
            return _Known(decision, -1, None)  # to be tried again

    def _word(self, entry: Entry, counter: int, promise: Promise) -> State | None:
        moment, stored = now(), self._versions.decided(entry)
        monitor = None
        try:
            if counter:
                monitor = self._read(entry, promise)
            if monitor is None:
                monitor = Monitor.begun(stored, promise, moment)
            monitor.follow(stored.detector, moment)
        except (NotCalibratedError, StaleCalibrationError):
            return None
        except InvalidSpecError:
            return "disabled"
        return word(monitor)

    def _read(self, entry: Entry, promise: Promise) -> Monitor | None:
        content, _ = self._states.get(entry.id)
        try:
            return Monitor.from_bytes(content, promise) if content else None
        except ArtefactError:  # its evidence begins anew, and who watches has told of it
            return None
