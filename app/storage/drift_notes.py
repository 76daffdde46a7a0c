"""The log of what was scored: written by every process, taken in order by one at a time.

What the process has gathered whose turn it is to take it is written as it is taken: squeezes that a
thinning leaves out are never written.

What is to be taken is what nobody has taken, not what comes after a position: PostgreSQL gives
numbers out before a commit, so a note may appear behind one that was taken already, and is skipped
by nobody. Whoever cannot know if a note was written writes it again: of the notes of one source and
batch the first one counts (``app.monitoring.taking``).

Taking is part of the transaction that replaces the state (``drift_states``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError
from app.storage.database import Database
from app.storage.drift_tables import DRIFT_NOTES, DRIFT_SQUEEZES, UNTAKEN


@dataclass(frozen=True, slots=True)
class Written:
    """A note to be written: what one process has gathered of one detector.

    One that is taken already holds what is left of it, under these numbers.
    """

    detector_id: str
    source: str
    batch: int
    images: int
    dropped: int
    content: bytes = field(repr=False)
    squeezes: bytes | None = field(repr=False)
    number: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Untaken:
    """A note that nobody has taken yet."""

    id: int
    source: str
    batch: int
    images: int
    dropped: int
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mark:
    """A note that is taken and kept: the numbers of its first and last image, and what is left.

    ``squeezes`` of None stay as they are.
    """

    id: int
    number: int
    last: int
    content: bytes = field(repr=False)
    squeezes: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """What becomes of notes when they are taken.

    Kept are images from number ``since`` on, up to ``before``, which is the next one's number
    before these were taken: later ones are of a state that could not be read.
    """

    marks: Sequence[Mark]
    gone: Sequence[int]
    since: int
    before: int
    written: Sequence[Written] = ()
    """Notes that were taken before they were in the log, as far as they are kept."""


class DriftNotes:
    """Appends, reads and forgets notes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, notes: Sequence[Written]) -> None:
        """Write notes, all or none of them; those of detectors that are deleted are left out.

        Raises:
            StorageUnavailableError: then it is not known if they are written.
        """
        try:
            with self._database.write(of_detectors=False) as connection:
                _insert(connection, notes)
        except IntegrityError:  # a detector was deleted: each for itself
            if len(notes) > 1:
                for note in notes:
                    self.append([note])

    def untaken(self, detector_id: str, limit: int) -> list[Untaken]:
        """Return the oldest notes of a detector that nobody has taken, in order of arrival."""
        columns = [DRIFT_NOTES.c[name] for name in Untaken.__dataclass_fields__]
        ours = and_(DRIFT_NOTES.c.detector_id == detector_id, UNTAKEN)
        chosen = select(*columns).where(ours).order_by(DRIFT_NOTES.c.id).limit(limit)
        with self._database.read() as connection:
            return [Untaken(*row) for row in connection.execute(chosen)]

    def kept(self, detector_id: str, since: int, last: int) -> list[tuple[bytes, bytes]]:
        """Return content and squeezes of taken notes with images of these numbers, in order."""
        chosen = (
            select(DRIFT_NOTES.c.content, DRIFT_SQUEEZES.c.content)
            .join(DRIFT_SQUEEZES, DRIFT_SQUEEZES.c.note_id == DRIFT_NOTES.c.id)
            .where(
                DRIFT_NOTES.c.detector_id == detector_id,
                DRIFT_NOTES.c.last >= since,
                DRIFT_NOTES.c.number <= last,
            )
            .order_by(DRIFT_NOTES.c.number)
        )
        with self._database.read() as connection:
            return [(row[0], row[1]) for row in connection.execute(chosen)]

    def squeezes(self, note_id: int) -> bytes:
        """Return the squeezes of a note. Raises ConflictError if they are gone meanwhile."""
        chosen = select(DRIFT_SQUEEZES.c.content).where(DRIFT_SQUEEZES.c.note_id == note_id)
        with self._database.read() as connection:
            found: bytes | None = connection.scalar(chosen)
        if found is None:
            raise ConflictError("another process has taken the note")
        return found

    def discard(self, notes: Sequence[int]) -> None:
        """Forget those of these notes that nobody has taken, for nobody can."""
        if not notes:
            return
        ours = and_(DRIFT_NOTES.c.id.in_(notes), UNTAKEN)
        with self._database.write(of_detectors=False) as connection:
            connection.execute(delete(DRIFT_NOTES).where(ours))


def take(connection: Connection, detector_id: str, taken: Taken) -> None:
    """Mark notes as taken, and remove what nothing needs any more.

    Raises:
        ConflictError: if another process has taken one of them.
    """
    ours = DRIFT_NOTES.c.detector_id == detector_id
    unneeded = or_(DRIFT_NOTES.c.last < taken.since, DRIFT_NOTES.c.last >= taken.before)
    connection.execute(delete(DRIFT_NOTES).where(ours, unneeded))
    if taken.gone:
        gone = delete(DRIFT_NOTES).where(DRIFT_NOTES.c.id.in_(taken.gone), UNTAKEN)
        if connection.execute(gone).rowcount != len(taken.gone):
            raise ConflictError("another process has taken a note")
    for mark in taken.marks:
        one = and_(DRIFT_NOTES.c.id == mark.id, UNTAKEN)
        values = {"number": mark.number, "last": mark.last, "content": mark.content}
        if connection.execute(update(DRIFT_NOTES).where(one).values(values)).rowcount != 1:
            raise ConflictError("another process has taken a note")
        if mark.squeezes is not None:
            own = update(DRIFT_SQUEEZES).where(DRIFT_SQUEEZES.c.note_id == mark.id)
            connection.execute(own.values(content=mark.squeezes))
    if taken.written:
        _insert(connection, taken.written)


def _insert(connection: Connection, notes: Sequence[Written]) -> None:
    names = [name for name in Written.__dataclass_fields__ if name != "squeezes"]
    rows = [{name: getattr(note, name) for name in names} for note in notes]
    made = insert(DRIFT_NOTES).returning(DRIFT_NOTES.c.id, sort_by_parameter_order=True)
    ids = connection.scalars(made, rows).all()
    squeezes = [
        {"note_id": identity, "content": note.squeezes}
        for identity, note in zip(ids, notes, strict=True)
        if note.squeezes is not None
    ]
    if squeezes:
        connection.execute(insert(DRIFT_SQUEEZES), squeezes)
