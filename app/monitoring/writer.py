"""What one process does for drift in a round: takes in what is its turn, writes the rest it saw.

Of each detector one process, under a lease, takes the notes of all in order of arrival; the state
says which, in the same transaction. The others write theirs to the log, before they take any, and
so does it what it cannot take. So each image counts once, whatever dies when: a note that was
written is taken by whoever is next, and one that nobody knows to be written, or taken, is written
again under the same number, which the state has seen or not.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime

from app.clock import now
from app.errors import ConflictError, StorageUnavailableError
from app.monitoring.keeping import Monitors
from app.monitoring.log import Gathered, gathered, nothing, written
from app.monitoring.notes import Note
from app.monitoring.taker import Taker
from app.storage.database import Database
from app.storage.drift_notes import DriftNotes
from app.storage.drift_writers import DriftWriters, Turn
from detector.errors import DetectorError

log = logging.getLogger(__name__)

COMPLAIN_S = 60.0


class Writer:
    """Used by one thread at a time."""

    def __init__(
        self, monitors: Monitors, database: Database, clock: Callable[[], datetime] = now
    ) -> None:
        """Take the clock by which leases run out."""
        self._monitors, self._notes = monitors, DriftNotes(database)
        self.taker = Taker(monitors, database)
        self._source = uuid.uuid4().hex
        self._writers = DriftWriters(database, self._source, clock)
        self._batch = 0
        self._unwritten: list[Gathered] = []
        self._complained_s = -COMPLAIN_S

    @property
    def images(self) -> int:
        """How many images could be neither taken nor written yet."""
        return sum(note.images for note in self._unwritten)

    def round(self, notes: list[Note], dropped: Counter[str]) -> None:
        """Take in the notes of all processes where it is this one's turn, and write its others.

        What cannot be done is told in the log and tried again with the next round: what could not
        be looked at yet stays in ``notes`` and ``dropped``.
        """
        try:
            self._gather(notes, dropped)
            turns = self._writers.claim({note.detector_id for note in self._unwritten})
        except Exception as error:
            self.complain("what was scored cannot be noted, and will be tried again", error)
            return
        # What another process takes is written first: else all turns would delay it.
        self._write({turn.detector_id for turn in turns})
        for turn in turns:
            self._take(turn)
        self._write()  # what could not be taken
        try:
            self._monitors.settle()
        except Exception as error:
            self.complain("what was said of windows cannot be kept yet", error)

    def release(self) -> None:
        """Leave all detectors to others. Raises StorageUnavailableError."""
        self._writers.release()

    def complain(self, why: str, error: Exception | None = None) -> None:
        """Say in the log, now and then, what does not work."""
        moment_s = time.monotonic()
        if moment_s - self._complained_s >= COMPLAIN_S:
            self._complained_s = moment_s
            log.error("%s", why, exc_info=error)

    def _write(self, besides: Collection[str] = ()) -> None:
        """Write the notes of all detectors but these; if that fails, another time."""
        chosen = [note for note in self._unwritten if note.detector_id not in besides]
        if not chosen:
            return
        try:
            self._notes.append([written(note) for note in chosen])
        except Exception as error:
            self.complain("what was scored cannot be noted, and will be tried again", error)
        else:
            self._unwritten = [note for note in self._unwritten if note.detector_id in besides]

    def _gather(self, notes: list[Note], dropped: Counter[str]) -> None:
        found: list[Gathered] = []
        by_detector: dict[str, list[Note]] = {identity: [] for identity in dropped}
        for note in notes:
            by_detector.setdefault(note.stored.entry.id, []).append(note)
        for identity, own in by_detector.items():
            lost = dropped[identity]
            if own:
                found += gathered(self._source, self._batch + len(found), own, lost)
            else:
                found.append(nothing(identity, self._source, self._batch + len(found), lost))
        self._batch += len(found)
        self._unwritten += found
        notes.clear()
        dropped.clear()

    def _take(self, turn: Turn) -> None:
        own: list[Gathered] = []
        others: list[Gathered] = []
        for note in self._unwritten:
            (own if note.detector_id == turn.detector_id else others).append(note)
        try:
            monitor = self.taker.take(turn.name, turn.detector_id, own)
        except Exception as error:
            self.complain("drift states cannot be kept, and will be tried again", error)
            return
        self._unwritten = others
        # Most rounds fill no window. What was not just taken in may be old, and is read to be sure.
        if monitor is not None and not monitor.windows.waiting:
            return
        try:
            self._monitors.test(turn.name)
        except (StorageUnavailableError, ConflictError, OSError) as error:
            self.complain("windows cannot be tested, and will be tried again", error)
        except DetectorError:
            pass  # it is gone, or cannot be watched: whoever asks is told
        except Exception as error:
            self.complain("windows cannot be tested", error)
