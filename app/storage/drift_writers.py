"""Who takes the notes of a detector into its drift state: one process at a time, under a lease.

The lease saves work, no more: whoever writes gives the counter of the state that it went on from,
so that one who stalled past its lease is refused. When a process dies its lease runs out, and
another goes on. Clocks of machines that share a database must agree to well within the lease.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.clock import now
from app.storage.database import Database
from app.storage.drift_tables import DRIFT_NOTES, DRIFT_STATES, DRIFT_WRITERS, UNTAKEN, WAITS
from app.storage.tables import DETECTORS

LEASE_S = 10.0
"""How late evidence may be when a writer has died."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A detector whose notes wait to be taken, or whose windows for their test."""

    detector_id: str
    name: str


class DriftWriters:
    """Claims detectors for one process."""

    def __init__(self, database: Database, owner: str, clock: Callable[[], datetime] = now) -> None:
        self._database, self._owner, self._clock = database, owner, clock

    def claim(self, noted: Collection[str] = ()) -> list[Turn]:
        """Return the detectors with something to do that are this process's own, or are free.

        That is notes in the log, windows, or for those in ``noted`` notes of this process alone.

        Most often there is nothing to be written: a lease is prolonged when half of it is gone.
        """
        moment = self._clock()
        until = moment + timedelta(seconds=LEASE_S)
        untaken = DETECTORS.c.id.in_(select(DRIFT_NOTES.c.detector_id).where(UNTAKEN))
        waits = DETECTORS.c.id.in_(select(DRIFT_STATES.c.detector_id).where(WAITS))
        chosen = (
            select(
                DETECTORS.c.id,
                DETECTORS.c.name,
                DRIFT_WRITERS.c.owner,
                DRIFT_WRITERS.c.until,
            )
            .outerjoin(DRIFT_WRITERS, DRIFT_WRITERS.c.detector_id == DETECTORS.c.id)
            .where(or_(untaken, waits, DETECTORS.c.id.in_(noted)))
            .order_by(DETECTORS.c.name)
        )
        with self._database.read() as connection:
            rows = connection.execute(chosen).all()
        ours = {row[0]: row[3] for row in rows if row[2] == self._owner and row[3] > moment}
        half = moment + timedelta(seconds=LEASE_S / 2)
        lost = self._prolong([each for each, ends in ours.items() if ends <= half], until)
        turns = []
        for identity, name, owner, ends in rows:
            is_ours = identity in ours and identity not in lost
            is_free = owner is None or ends <= moment
            if is_ours or (is_free and self._take(identity, owner is None, moment, until)):
                turns.append(Turn(identity, name))
        return turns

    def release(self) -> None:
        """Leave the detectors of a process that stops to others at once."""
        ours = delete(DRIFT_WRITERS).where(DRIFT_WRITERS.c.owner == self._owner)
        with self._database.write(of_detectors=False) as connection:
            connection.execute(ours)

    def _prolong(self, detectors: list[str], until: datetime) -> set[str]:
        """Prolong leases; return those that another process has taken meanwhile."""
        if not detectors:
            return set()
        chosen = DRIFT_WRITERS.c.detector_id.in_(detectors)
        ours = update(DRIFT_WRITERS).where(chosen, DRIFT_WRITERS.c.owner == self._owner)
        with self._database.write(of_detectors=False) as connection:
            prolonged = connection.scalars(
                ours.values(until=until).returning(DRIFT_WRITERS.c.detector_id)
            )
            return {*detectors} - {*prolonged}

    def _take(self, identity: str, is_first: bool, moment: datetime, until: datetime) -> bool:
        """Claim a detector that is free; return False if another process was faster."""
        values = {"owner": self._owner, "until": until}
        free = or_(DRIFT_WRITERS.c.owner == self._owner, DRIFT_WRITERS.c.until <= moment)
        ours = update(DRIFT_WRITERS).where(DRIFT_WRITERS.c.detector_id == identity, free)
        try:
            with self._database.write(of_detectors=False) as connection:
                if is_first:
                    row = insert(DRIFT_WRITERS).values(detector_id=identity, **values)
                    connection.execute(row)
                    return True
                return connection.execute(ours.values(values)).rowcount == 1
        except IntegrityError:  # claimed meanwhile, or deleted
            return False
