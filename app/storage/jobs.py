"""Jobs: long work that outlives its request and its process.

A job is claimed by one process at a time under a lease that the process renews while it works; when
the process dies the lease runs out and another claims the job. Jobs of one detector run in order.
Clocks of machines that share a database must agree to well within the lease.
"""

import uuid
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, exists, insert, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from app.errors import (
    IdempotencyConflictError,
    JobEndedError,
    LeaseLostError,
    UnknownJobError,
)
from app.storage.audit import By, record
from app.storage.cursor import Cursor, beyond, newest_first
from app.storage.database import Database
from app.storage.job_rows import (
    COLUMNS,
    MOST_ATTEMPTS,
    OUTLINE_COLUMNS,
    Job,
    Kind,
    Outline,
    State,
    job_of,
)
from app.storage.tables import JOBS, now
from app.storage.version_rows import made_by

__all__ = ["MOST_ATTEMPTS", "Job", "Jobs", "Kind", "Outline", "State"]

_RELEASED: dict[str, Any] = {
    "state": "queued",
    "sequence": JOBS.c.sequence + 1,
    "attempts": JOBS.c.attempts - 1,  # it did not fail
    "lease_owner": None,
    "lease_until": None,
}


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
                row = connection.execute(select(*COLUMNS).where(same)).first()
            if row is None or job_of(row).parameters != dict(parameters):
                raise IdempotencyConflictError(
                    "this Idempotency-Key was used for another request: take a new one"
                ) from None
            return job_of(row), False
        return self.get(identity), True

    def get(self, identity: str) -> Job:
        """Return a job. Raises UnknownJobError."""
        with self._database.read() as connection:
            row = connection.execute(select(*COLUMNS).where(JOBS.c.id == identity)).first()
        if row is None:
            raise UnknownJobError(f"no job {identity!r}")
        return job_of(row)

    def latest(
        self, *, detector: str | None = None, limit: int = 100, cursor: Cursor | None = None
    ) -> list[Outline]:
        """Return jobs, newest first, of all detectors or of one."""
        chosen = select(*OUTLINE_COLUMNS)
        if detector:
            chosen = chosen.where(JOBS.c.detector == detector)
        if cursor is not None:
            chosen = chosen.where(beyond(JOBS, cursor, at="created_at"))
        ordered = chosen.order_by(*newest_first(JOBS, at="created_at")).limit(limit)
        with self._database.read() as connection:
            return [Outline(**row._mapping) for row in connection.execute(ordered)]

    def claim(self, owner: str, lease_s: float, going: Collection[str] = ()) -> Job | None:
        """Take the oldest job that waits, or whose process died; None if there is none.

        Args:
            owner: who takes it.
            lease_s: after so many seconds it is taken for dead.
            going: ids of jobs it works on: late with a lease, it does not take its own for dead.
        """
        moment = now()
        abandoned = and_(
            JOBS.c.state == "running", JOBS.c.lease_until < moment, JOBS.c.id.not_in(going)
        )
        other = JOBS.alias()
        # The older one first, even while another process is about to claim it: it skips no turn.
        older = tuple_(other.c.created_at, other.c.id) < tuple_(JOBS.c.created_at, JOBS.c.id)
        ahead = exists().where(
            other.c.detector_id == JOBS.c.detector_id,
            or_(other.c.state == "running", and_(other.c.state == "queued", older)),
        )
        waits = and_(JOBS.c.state == "queued", ~ahead)
        chosen = (
            select(JOBS.c.id)
            .where(or_(abandoned, waits))
            .order_by(JOBS.c.created_at, JOBS.c.id)
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

    def pin(self, identity: str, owner: str, *, base: int, serving: int) -> None:
        """Keep which version a job builds on, and which serves: the same when it is taken up again.

        Raises:
            LeaseLostError: if another process has taken the job.
        """
        self._change(identity, owner, {"base": base, "serving": serving})

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
        self._change(identity, owner, _RELEASED)

    def release_all(self, owner: str) -> None:
        """Put every job of a process that stops back in line."""
        ours = and_(JOBS.c.lease_owner == owner, JOBS.c.state == "running")
        with self._database.write() as connection:
            connection.execute(update(JOBS).where(ours).values(**_RELEASED))

    def made(self, job: Job) -> int | None:
        """Return the version that a job has made, None if it has made none, or it is deleted."""
        with self._database.read() as connection:
            return made_by(connection, job.detector_id, job.id)

    def cancel(self, identity: str, by: By) -> Job:
        """Ask for a job to be cancelled; one that waits is cancelled at once.

        Raises:
            UnknownJobError: if there is no such job.
            JobEndedError: if it has ended.
        """
        with self._database.write() as connection:
            chosen = select(*COLUMNS).where(JOBS.c.id == identity).with_for_update()
            row = connection.execute(chosen).first()
            if row is None:
                raise UnknownJobError(f"no job {identity!r}")
            if job_of(row).ended:
                raise JobEndedError(f"job {identity!r} has ended already: {row.state}")
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
