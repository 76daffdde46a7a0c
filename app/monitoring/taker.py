"""Takes the notes of a detector into its monitor; those that cannot be taken stop no others."""

import logging
from collections.abc import Sequence

from app.errors import ConflictError, StorageUnavailableError, UnknownDetectorError
from app.monitoring.keeping import Monitors
from app.monitoring.log import Gathered
from app.monitoring.monitor import Monitor
from app.monitoring.taking import AT_ONCE, Taking, in_log, leave_out, take_in
from app.storage.database import Database
from app.storage.drift_notes import DriftNotes, Taken, Untaken
from app.storage.version_reader import Stored
from detector.errors import DetectorError

log = logging.getLogger(__name__)


class _UntakableError(Exception):
    """Notes cannot be taken into a monitor that can be watched."""


class Taker:
    """Used by one thread at a time."""

    def __init__(self, monitors: Monitors, database: Database) -> None:
        self._monitors, self._notes = monitors, DriftNotes(database)

    def take(self, name: str, identity: str, own: Sequence[Gathered] = ()) -> Monitor | None:
        """Take in the notes of a detector that nobody has taken, and then this process's own.

        Some in each transaction, in order: after an outage there may be thousands. Those of one
        that is gone, or cannot be watched, are removed. Return the monitor as it was kept last,
        unless there was nothing to take or it could not be taken.

        Raises:
            StorageUnavailableError, ConflictError: then its own are not known to be taken.
        """
        monitor = None
        while len(untaken := self._notes.untaken(identity, AT_ONCE)) == AT_ONCE:
            monitor = self._take_or_leave(name, identity, untaken)
        notes: list[Untaken | Gathered] = [*untaken, *own]
        for start in range(0, len(notes), AT_ONCE):
            monitor = self._take_or_leave(name, identity, notes[start : start + AT_ONCE])
        return monitor

    def _take_or_leave(
        self, name: str, identity: str, notes: Sequence[Untaken | Gathered]
    ) -> Monitor | None:
        try:
            return self._take(name, identity, notes)
        except (StorageUnavailableError, ConflictError):
            raise
        except DetectorError:  # it is gone, or cannot be watched: whoever asks is told
            self._notes.discard(in_log(notes))
        except _UntakableError as error:
            half = len(notes) // 2
            if half:  # it may be one of them alone
                self._take_or_leave(name, identity, notes[:half])
                self._take_or_leave(name, identity, notes[half:])
            else:
                log.error("images of %r were left out of drift", name, exc_info=error)
                self._leave_out(name, identity, notes)
        return None

    def _take(self, name: str, identity: str, notes: Sequence[Untaken | Gathered]) -> Monitor:
        found: list[Taking] = []

        def work(stored: Stored, monitor: Monitor) -> Taken:
            _same(stored, identity)
            # The state at hand may know less than is taken; then it cannot be written, either.
            left = self._left(identity, notes) if found else notes
            try:
                found[:] = [take_in(stored, monitor, left)]
                return found[0].taken(monitor, self._notes.squeezes)
            except (StorageUnavailableError, ConflictError, OSError):
                raise
            except Exception as error:
                raise _UntakableError from error

        monitor = self._monitors.change(name, work, latest=False)
        (taking,) = found
        self._monitors.showing.seen(name, monitor, taking.images, taking.raised)
        for _ in range(taking.skipped):
            self._monitors.showing.untested(name, "skipped")
        return monitor

    def _leave_out(self, name: str, identity: str, notes: Sequence[Untaken | Gathered]) -> None:
        """Count the images of notes that cannot be taken in as dropped."""

        def work(stored: Stored, monitor: Monitor) -> Taken:
            _same(stored, identity)
            return leave_out(monitor, self._left(identity, notes))

        self._monitors.change(name, work)

    def _left(self, identity: str, notes: Sequence[Untaken | Gathered]) -> list[Untaken | Gathered]:
        """Return the notes that nobody has taken meanwhile; nobody can those of this process."""
        untaken = {note.id for note in self._notes.untaken(identity, AT_ONCE)}
        return [note for note in notes if isinstance(note, Gathered) or note.id in untaken]


def _same(stored: Stored, identity: str) -> None:
    """Raise UnknownDetectorError if a name is not this detector's any more."""
    if stored.entry.id != identity:
        raise UnknownDetectorError(f"{stored.entry.name!r} is another detector's name by now")
