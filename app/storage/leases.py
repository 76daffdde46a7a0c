"""Who works on a job: one process at a time, under a lease that it renews while it works.

When the process dies the lease runs out and another claims the job. Jobs of one detector run in
order. Clocks of machines that share a database must agree to well within the lease.
"""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import and_, exists, or_, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from app.clock import now
from app.errors import LeaseLostError, UnknownJobError
from app.storage.database import Database
from app.storage.job_rows import COLUMNS, Job, State, job_of
from app.storage.tables import JOBS

_RELEASED: dict[str, Any] = {
    "state": "queued",
    "sequence": JOBS.c.sequence + 1,
    "attempts": JOBS.c.attempts - 1,  # it did not fail
    "lease_owner": None,
    "lease_until": None,
}


class Leases:
    """Claims jobs, and changes those that are claimed for their owner alone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, identity: str) -> Job:
        """Return a job. Raises UnknownJobError."""
        with self._database.read() as connection:
            row = connection.execute(select(*COLUMNS).where(JOBS.c.id == identity)).first()
        if row is None:
            raise UnknownJobError(f"no job {identity!r}")
        return job_of(row)

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
            with self._database.write(of_detectors=False) as connection:
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
        with self._database.write(of_detectors=False) as connection:
            connection.execute(update(JOBS).where(ours).values(**_RELEASED))

    def _change(self, identity: str, owner: str, values: Mapping[str, Any]) -> None:
        ours = and_(JOBS.c.id == identity, JOBS.c.lease_owner == owner, JOBS.c.state == "running")
        with self._database.write(of_detectors=False) as connection:
            changed = connection.execute(update(JOBS).where(ours).values(**values))
        if changed.rowcount != 1:
            raise LeaseLostError(f"job {identity!r} was taken up by another process")
