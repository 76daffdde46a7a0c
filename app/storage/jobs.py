"""Jobs: long work that outlives its request and its process.

They are submitted, listed and cancelled here; ``app.storage.leases`` is how they are worked on.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.clock import now
from app.errors import (
    IdempotencyConflictError,
    JobEndedError,
    UnknownJobError,
)
from app.storage.audit import By, record
from app.storage.cursor import Cursor, beyond, newest_first
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
from app.storage.leases import Leases
from app.storage.tables import JOBS
from app.storage.version_rows import made_by

__all__ = ["MOST_ATTEMPTS", "Job", "Jobs", "Kind", "Outline", "State"]


class Jobs(Leases):
    """Every read sees what was committed last, by any process."""

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
