"""The drift state of each detector: one row, replaced as a whole by whoever has seen the last one.

Any number of processes may write: each gives the counter of the state that it went on from, and is
refused if there is a later one. So nothing is overwritten that was not read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from app.clock import now
from app.errors import ConflictError, StorageUnavailableError
from app.storage.audit import By, record
from app.storage.database import Database
from app.storage.drift_notes import Taken, take
from app.storage.drift_tables import DRIFT_STATES
from app.storage.notices import Standing
from app.storage.notices import tell as tell_alarms


@dataclass(frozen=True, slots=True)
class Change:
    """What a person did to a state: for the audit, in the same transaction."""

    by: By
    action: str
    subject: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


class DriftStates:
    """Reads and replaces states."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counter(self, detector_id: str) -> int:
        """Return how often a detector's state was written, 0 if there is none."""
        chosen = select(DRIFT_STATES.c.counter).where(DRIFT_STATES.c.detector_id == detector_id)
        with self._database.read() as connection:
            return connection.scalar(chosen) or 0

    def counters(self) -> dict[str, int]:
        """Return how often the states were written that there are, by detector."""
        chosen = select(DRIFT_STATES.c.detector_id, DRIFT_STATES.c.counter)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(chosen)}

    def get(self, detector_id: str) -> tuple[bytes, int]:
        """Return a detector's state and its counter; no bytes and 0 if there is none."""
        chosen = select(DRIFT_STATES.c.content, DRIFT_STATES.c.counter).where(
            DRIFT_STATES.c.detector_id == detector_id
        )
        with self._database.read() as connection:
            row = connection.execute(chosen).first()
        return (b"", 0) if row is None else (row.content, row.counter)

    def put(
        self,
        detector_id: str,
        content: bytes,
        counter: int,
        change: Change | None = None,
        standing: Standing | None = None,
        reference_blob: str = "",
        *,
        windows: int = 0,
        taken: Taken | None = None,
    ) -> int:
        """Keep what became of the state with this counter; return the new counter.

        Args:
            detector_id: whose state it is.
            content: the state.
            counter: of the state that it went on from.
            change: what a person did to it, if anybody did.
            standing: its alarms; notices of those that are new, or over, go with the state. None if
                nobody is told.
            reference_blob: that the state names, for a sweep to leave; often none.
            windows: how many of its windows wait for their test.
            taken: notes that the state has taken in, which so count once.

        A connection may break between a commit and its answer; then it is looked whether the state
        is there, else whoever tries again would count the same images twice.

        Raises:
            StorageUnavailableError
            ConflictError: if another process has written meanwhile, or the detector was deleted.
        """
        values = {
            "counter": counter + 1,
            "content": content,
            "at": now(),
            "reference_blob": reference_blob or None,
            "windows": windows,
        }
        ours = (DRIFT_STATES.c.detector_id == detector_id) & (DRIFT_STATES.c.counter == counter)
        try:
            with self._database.write(of_detectors=False) as connection:
                if counter:
                    rows = connection.execute(update(DRIFT_STATES).where(ours).values(values))
                    if not rows.rowcount:
                        raise ConflictError("the drift state was changed meanwhile")
                else:
                    first = insert(DRIFT_STATES).values(detector_id=detector_id, **values)
                    connection.execute(first)
                if taken is not None:
                    take(connection, detector_id, taken)
                if standing is not None:
                    tell_alarms(connection, detector_id, standing)
                if change is not None:
                    record(
                        connection,
                        change.by,
                        change.action,
                        change.subject,
                        before=change.before,
                        after=change.after,
                    )
        except IntegrityError as error:
            raise ConflictError("the drift state was begun, or the detector deleted") from error
        except StorageUnavailableError:
            if self.get(detector_id) != (content, counter + 1):
                raise
        return counter + 1
