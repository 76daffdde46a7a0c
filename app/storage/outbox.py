"""Notices on their way: claimed by one process at a time under a lease, then settled.

Of one detector's notices each sink gets the first that it has not got, and the next one only after
it: no end arrives before its alarm. Each arrives at least once, and once unless a process dies, or
loses the database, between the delivery and its word on it. Clocks of machines that share a
database must agree to well within the lease.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, or_, select, update

from app.clock import now
from app.notices.content import Content
from app.storage.database import Database
from app.storage.notice_tables import DELIVERIES, NOTICES

State = Literal["waiting", "delivered", "given_up"]
AT_ONCE = 1000
"""Notices removed by one statement."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice that one process may deliver to one sink; ``attempts`` counts this one, too."""

    sequence: int
    sink: str
    attempts: int
    made_at: datetime
    content: Content


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a notice has come on its way to a sink; ``problem`` is the last attempt's."""

    sink: str
    state: State
    attempts: int
    due_at: datetime
    ended_at: datetime | None
    problem: str


@dataclass(frozen=True, slots=True)
class Told:
    """A notice, and what became of it."""

    sequence: int
    made_at: datetime
    content: Content
    deliveries: tuple[Delivery, ...]


class Outbox:
    """Any number of processes may work on it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, sink: str, owner: str, lease_s: float) -> Claimed | None:
        """Take the oldest notice that is due and no other process has; None if there is none."""
        moment = now()
        before = DELIVERIES.alias()
        ahead = exists().where(
            before.c.sink == DELIVERIES.c.sink,
            before.c.state == "waiting",
            before.c.detector_id == DELIVERIES.c.detector_id,
            before.c.sequence < DELIVERIES.c.sequence,
        )
        free = or_(DELIVERIES.c.lease_until.is_(None), DELIVERIES.c.lease_until < moment)
        due = (
            select(DELIVERIES.c.sequence, DELIVERIES.c.attempts)
            .where(_waiting(sink), DELIVERIES.c.due_at <= moment, free, ~ahead)
            .order_by(DELIVERIES.c.sequence)
            .limit(1)
        )
        with self._database.read() as connection:  # most often there is nothing to be written
            if connection.execute(due).first() is None:
                return None
        with self._database.write(of_detectors=False) as connection:
            row = connection.execute(due.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            connection.execute(
                update(DELIVERIES)
                .where(_one(row.sequence, sink))
                .values(
                    attempts=row.attempts + 1,
                    lease_owner=owner,
                    lease_until=moment + timedelta(seconds=lease_s),
                )
            )
            about = select(NOTICES.c.made_at, NOTICES.c.content)
            told = connection.execute(about.where(NOTICES.c.sequence == row.sequence)).one()
        return Claimed(row.sequence, sink, row.attempts + 1, told.made_at, told.content)

    def settle(self, claimed: Claimed, owner: str, state: State, problem: str = "") -> None:
        """Say that a notice was delivered or is given up; nothing if another process has it now."""
        self._change(claimed, owner, state=state, problem=problem, ended_at=now())

    def put_off(self, claimed: Claimed, owner: str, wait_s: float, problem: str) -> None:
        """Try again later; nothing if another process has it now."""
        due_at = now() + timedelta(seconds=wait_s)
        self._change(claimed, owner, due_at=due_at, problem=problem)

    def release(self, owner: str) -> None:
        """Leave what a stopping process has claimed to others at once."""
        ours = and_(DELIVERIES.c.lease_owner == owner, DELIVERIES.c.state == "waiting")
        released = update(DELIVERIES).where(ours).values(lease_owner=None, lease_until=None)
        with self._database.write(of_detectors=False) as connection:
            connection.execute(released)

    def waiting(self, sink: str) -> int:
        """Return how many notices wait for a sink."""
        chosen = select(func.count()).select_from(DELIVERIES).where(_waiting(sink))
        with self._database.read() as connection:
            return connection.scalar(chosen) or 0

    def sweep(self, before: datetime) -> int:
        """Remove what was made before, but for alarms that have not ended; return how many went.

        At most ``AT_ONCE``, the oldest: there is another time.
        """
        old = and_(NOTICES.c.made_at < before, ~NOTICES.c.standing)
        oldest = select(NOTICES.c.sequence).where(old).order_by(NOTICES.c.sequence).limit(AT_ONCE)
        with self._database.read() as connection:
            gone = connection.scalars(oldest).all()
        if gone:
            with self._database.write(of_detectors=False) as connection:
                for table in (DELIVERIES, NOTICES):
                    connection.execute(delete(table).where(table.c.sequence.in_(gone)))
        return len(gone)

    def latest(
        self, limit: int, *, detector: str | None = None, before: int | None = None
    ) -> list[Told]:
        """Return notices, newest first; of one detector by name, or those before a number."""
        chosen = select(NOTICES.c.sequence, NOTICES.c.made_at, NOTICES.c.content)
        if detector is not None:
            chosen = chosen.where(NOTICES.c.content["detector"].as_string() == detector)
        if before is not None:
            chosen = chosen.where(NOTICES.c.sequence < before)
        with self._database.read() as connection:
            rows = connection.execute(chosen.order_by(NOTICES.c.sequence.desc()).limit(limit)).all()
            ways = _ways(connection, [row.sequence for row in rows])
        return [Told(*row, tuple(ways[row.sequence])) for row in rows]

    def _change(self, claimed: Claimed, owner: str, **values: object) -> None:
        ours = and_(_one(claimed.sequence, claimed.sink), DELIVERIES.c.lease_owner == owner)
        change = update(DELIVERIES).where(ours)
        with self._database.write(of_detectors=False) as connection:
            connection.execute(change.values(lease_owner=None, lease_until=None, **values))


def _waiting(sink: str) -> ColumnElement[bool]:
    return and_(DELIVERIES.c.sink == sink, DELIVERIES.c.state == "waiting")


def _one(sequence: int, sink: str) -> ColumnElement[bool]:
    return and_(DELIVERIES.c.sequence == sequence, DELIVERIES.c.sink == sink)


def _ways(connection: Connection, sequences: Sequence[int]) -> dict[int, list[Delivery]]:
    """Return the deliveries of notices, by notice, ordered by sink."""
    columns = [DELIVERIES.c[each.name] for each in fields(Delivery)]
    chosen = select(DELIVERIES.c.sequence, *columns).where(DELIVERIES.c.sequence.in_(sequences))
    found: dict[int, list[Delivery]] = defaultdict(list)
    for sequence, *values in connection.execute(chosen.order_by(DELIVERIES.c.sink)):
        found[sequence].append(Delivery(*values))
    return found
