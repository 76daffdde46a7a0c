"""A job as clients see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatewatch.answers.problem import Problem


@dataclass(frozen=True, kw_only=True)
class JobSummary:
    """What a job is about, and how far it is; its address has its result, too."""

    id: str
    kind: str
    detector: str
    state: str
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


@dataclass(frozen=True, kw_only=True)
class JobInfo(JobSummary):
    """What a job is about, how far it is, and what came of it."""

    result: dict[str, Any] | None
    """Of a job that succeeded: what this kind of job says it did."""


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Jobs, newest first."""

    jobs: list[JobSummary]
    next: str | None
    """What to give as cursor to read on; none at the end."""
