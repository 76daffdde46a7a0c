"""Jobs: long work that outlives its request and its process.

A job is claimed by one process at a time under a lease that the process renews while it works; when
the process dies the lease runs out and another claims the job. Jobs of one detector run in order.
Clocks of machines that share a database must agree to well within the lease.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.errors import (
    IdempotencyConflictError,
    JobEndedError,
    LeaseLostError,
    UnknownJobError,
)
from app.storage.audit import By, record
from app.storage.database import Database
from app.storage.tables import JOBS, now

Kind = Literal["fit", "extend", "forget", "calibrate", "replay", "adapt"]
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
MOST_ATTEMPTS = 3
"""A job whose process died so often while it ran is not tried again."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job's row."""

    id: str
    kind: Kind
    detector_id: str
    detector: str
    parameters: Mapping[str, Any]
    base: int | None
    spool_blob: str
    state: State
    total: int
    done: int
    sequence: int
    cancel_requested: bool
    result: Mapping[str, Any] | None
    problem: Mapping[str, Any] | None
    who: str
    reason: str
    request_id: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    attempts: int

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("succeeded", "failed", "cancelled")

    @property
    def by(self) -> By:
        """Who asked for it."""
        return By(self.who, self.reason, self.request_id)


_COLUMNS = [JOBS.c[field.name] for field in fields(Job)]


class Jobs:
    """Every read sees what was committed last, by any process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(
        self,
        kind: Kind,
        detector_id: str,
        detector: str,
        parameters: Mapping[str, Any],
        by: By,
        *,
        identity: str = "",
        base: int | None = None,
        spool_blob: str = "",
        total: int = 0,
        body_sha256: str = "",
        idempotency_key: str | None = None,
    ) -> tuple[Job, bool]:
        """Keep a new job; return it, and False if this very request had made it before.

        Raises:
            IdempotencyConflictError: if another request has used the key.
        """
        identity = identity or uuid.uuid4().hex
        try:
            with self._database.write() as connection:
                connection.execute(
                    insert(JOBS).values(
                        id=identity,
                        kind=kind,
                        detector_id=detector_id,
                        detector=detector,
                        parameters=dict(parameters),
                        base=base,
                        spool_blob=spool_blob,
                        state="queued",
                        total=total,
                        done=0,
                        sequence=1,
                        cancel_requested=False,
                        idempotency_key=idempotency_key,
                        body_sha256=body_sha256,
                        who=by.who,
                        reason=by.reason,
                        request_id=by.request_id,
                        created_at=now(),
                        attempts=0,
                    )
                )
                asked = {"job": identity, "images": total, **parameters}
                record(connection, by, f"job.{kind}", detector, after=asked)
        except IntegrityError:
            same = and_(
                JOBS.c.idempotency_key == idempotency_key,
                JOBS.c.kind == kind,
                JOBS.c.detector_id == detector_id,
                JOBS.c.body_sha256 == body_sha256,
                JOBS.c.who == by.who,
            )
            with self._database.read() as connection:
                row = connection.execute(select(*_COLUMNS).where(same)).first()
            if row is None or _job(row).parameters != dict(parameters):
                raise IdempotencyConflictError(
                    "this Idempotency-Key was used for another request: take a new one"
                ) from None
            return _job(row), False
        return self.get(identity), True

    def get(self, identity: str) -> Job:
        """Return a job. Raises UnknownJobError."""
        with self._database.read() as connection:
            row = connection.execute(select(*_COLUMNS).where(JOBS.c.id == identity)).first()
        if row is None:
            raise UnknownJobError(f"no job {identity!r}")
        return _job(row)

    def latest(self, *, detector: str = "", limit: int = 100) -> list[Job]:
        """Return the latest jobs, newest first."""
        chosen = select(*_COLUMNS).order_by(JOBS.c.created_at.desc()).limit(limit)
        if detector:
            chosen = chosen.where(JOBS.c.detector == detector)
        with self._database.read() as connection:
            return [_job(row) for row in connection.execute(chosen)]

    def claim(self, owner: str, lease_s: float) -> Job | None:
        """Take the oldest job that waits, or whose process died; None if there is none."""
        moment = now()
        abandoned = and_(JOBS.c.state == "running", JOBS.c.lease_until < moment)
        others = JOBS.alias()
        busy = select(others.c.detector_id).where(
            others.c.state == "running", others.c.id != JOBS.c.id
        )
        waits = and_(JOBS.c.state == "queued", JOBS.c.detector_id.not_in(busy))
        chosen = (
            select(JOBS.c.id)
            .where(or_(abandoned, waits))
            .order_by(JOBS.c.created_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        try:
            with self._database.write() as connection:
                identity = connection.scalar(chosen)
                if identity is None:
                    return None
                connection.execute(
                    update(JOBS)
                    .where(JOBS.c.id == identity)
                    .values(
                        state="running",
                        started_at=moment,
                        sequence=JOBS.c.sequence + 1,
                        attempts=JOBS.c.attempts + 1,
                        lease_owner=owner,
                        lease_until=moment + timedelta(seconds=lease_s),
                    )
                )
        except IntegrityError:
            return None  # another process has just claimed a job of the same detector
        return self.get(identity)

    def pin(self, identity: str, owner: str, base: int) -> None:
        """Keep which version a job builds on: taken up again, it builds on the same.

        Raises:
            LeaseLostError: if another process has taken the job.
        """
        self._change(identity, owner, {"base": base})

    def renew(self, identity: str, owner: str, lease_s: float, *, done: int, total: int) -> bool:
        """Prolong the lease and keep the progress; return whether the job shall be cancelled.

        Raises:
            LeaseLostError: if another process has taken the job.
        """
        values = {
            "done": done,
            "total": total,
            "sequence": JOBS.c.sequence + 1,
            "lease_until": now() + timedelta(seconds=lease_s),
        }
        self._change(identity, owner, values)
        return self.get(identity).cancel_requested

    def finish(
        self,
        identity: str,
        owner: str,
        state: State,
        *,
        result: Mapping[str, Any] | None = None,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        """End a job.

        Raises:
            LeaseLostError: if another process has taken the job.
        """
        values = {
            "state": state,
            "result": result,
            "problem": problem,
            "sequence": JOBS.c.sequence + 1,
            "ended_at": now(),
            "lease_owner": None,
            "lease_until": None,
        }
        self._change(identity, owner, values)

    def release(self, identity: str, owner: str) -> None:
        """Put a job back in line, to be gone on with by whoever claims it next.

        Raises:
            LeaseLostError: if another process has taken the job.
        """
        values = {
            "state": "queued",
            "sequence": JOBS.c.sequence + 1,
            "attempts": JOBS.c.attempts - 1,  # it did not fail
            "lease_owner": None,
            "lease_until": None,
        }
        self._change(identity, owner, values)

    def cancel(self, identity: str, by: By) -> Job:
        """Ask for a job to be cancelled; one that waits is cancelled at once.

        Raises:
            UnknownJobError: if there is no such job.
            JobEndedError: if it has ended.
        """
        with self._database.write() as connection:
            chosen = select(*_COLUMNS).where(JOBS.c.id == identity).with_for_update()
            row = connection.execute(chosen).first()
            if row is None:
                raise UnknownJobError(f"no job {identity!r}")
            if _job(row).ended:
                raise JobEndedError(f"job {identity!r} has ended: it {row.state}")
            values: dict[str, Any] = {
                "cancel_requested": True,
                "sequence": JOBS.c.sequence + 1,
            }
            if row.state == "queued":
                values |= {"state": "cancelled", "ended_at": now()}
            connection.execute(update(JOBS).where(JOBS.c.id == identity).values(values))
            record(connection, by, "job.cancel", row.detector, before={"job": identity})
        return self.get(identity)

    def _change(self, identity: str, owner: str, values: Mapping[str, Any]) -> None:
        ours = and_(JOBS.c.id == identity, JOBS.c.lease_owner == owner, JOBS.c.state == "running")
        with self._database.write() as connection:
            changed = connection.execute(update(JOBS).where(ours).values(**values))
        if changed.rowcount != 1:
            raise LeaseLostError(f"job {identity!r} was taken up by another process")


def _job(row: Row[Any]) -> Job:
    return Job(**row._mapping)
