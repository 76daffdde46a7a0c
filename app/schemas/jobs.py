"""A job as clients see it."""

from datetime import datetime
from typing import Any

from app.problems import Problem
from app.schemas.base import Body
from app.storage.jobs import Job, Kind, State
from app.storage.tables import now


class JobInfo(Body):
    """What a job is about, how far it is, and what came of it."""

    id: str
    kind: Kind
    detector: str
    state: State
    cancel_requested: bool
    images: int
    """To go through; 0 until it is known."""
    images_done: int
    images_per_second: float | None
    seconds_left: float | None
    """At the rate so far."""
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    result: dict[str, Any] | None
    """Of a job that succeeded: what this kind of job says it did."""
    problem: Problem | None
    """Of a job that failed."""

    @classmethod
    def of(cls, job: Job) -> "JobInfo":
        """Return its form."""
        rate = None
        if job.started_at and job.done:
            seconds = ((job.ended_at or now()) - job.started_at).total_seconds()
            rate = job.done / seconds if seconds > 0 else None
        left = (job.total - job.done) / rate if rate and job.total and not job.ended else None
        return cls(
            id=job.id,
            kind=job.kind,
            detector=job.detector,
            state=job.state,
            cancel_requested=job.cancel_requested,
            images=job.total,
            images_done=job.done,
            images_per_second=rate,
            seconds_left=left,
            created_at=job.created_at,
            started_at=job.started_at,
            ended_at=job.ended_at,
            result=dict(job.result) if job.result else None,
            problem=Problem.model_validate(job.problem) if job.problem else None,
        )


class JobList(Body):
    """Jobs, newest first."""

    jobs: list[JobInfo]

    @classmethod
    def of(cls, jobs: list[Job]) -> "JobList":
        """Return their form."""
        return cls(jobs=[JobInfo.of(job) for job in jobs])
