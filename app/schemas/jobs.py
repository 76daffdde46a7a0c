"""A job as clients see it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.clock import now
from app.problems import Problem
from app.schemas.base import Body
from app.storage.cursor import Cursor
from app.storage.jobs import Job, Kind, Outline, State


class JobSummary(Body):
    """What a job is about, and how far it is; its address has its result, too."""

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
    problem: Problem | None
    """Of a job that failed."""

    @classmethod
    def outlined(cls, job: Outline) -> "JobSummary":
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
            problem=Problem.model_validate(job.problem) if job.problem else None,
        )


class JobInfo(JobSummary):
    """What a job is about, how far it is, and what came of it."""

    result: dict[str, Any] | None
    """Of a job that succeeded: what this kind of job says it did."""

    @classmethod
    def of(cls, job: Job) -> "JobInfo":
        """Return its form."""
        return cls(
            **dict(JobSummary.outlined(job)), result=dict(job.result) if job.result else None
        )


class JobPage(Body):
    """Jobs, newest first."""

    jobs: list[JobSummary]
    next: str | None
    """What to give as cursor to read on; none at the end."""

    @classmethod
    def of(cls, jobs: Sequence[Outline], limit: int) -> "JobPage":
        """Return the first ``limit`` of these; one beyond tells that there are more."""
        shown = jobs[:limit]
        more = str(Cursor(shown[-1].created_at, shown[-1].id)) if len(jobs) > limit else None
        return cls(jobs=[JobSummary.outlined(job) for job in shown], next=more)
