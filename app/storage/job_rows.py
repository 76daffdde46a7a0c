"""A job's row: what is kept of a job, and what may be said of it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Row

from app.storage.audit import By
from app.storage.tables import JOBS

Kind = Literal["fit", "extend", "forget", "calibrate", "replay", "drift-replay", "adapt"]
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
MOST_ATTEMPTS = 3
"""A job whose process died so often while it ran is not tried again."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A job's row, without what may be long: what was asked for, and what came of it."""

    id: str
    kind: Kind
    detector_id: str
    detector: str
    base: int | None
    serving: int | None
    spool_blob: str
    state: State
    total: int
    done: int
    sequence: int
    cancel_requested: bool
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


@dataclass(frozen=True, slots=True)
class Job(Outline):
    """A job's row."""

    parameters: Mapping[str, Any]
    result: Mapping[str, Any] | None


OUTLINE_COLUMNS = [JOBS.c[field.name] for field in fields(Outline)]
COLUMNS = [JOBS.c[field.name] for field in fields(Job)]


def job_of(row: Row[Any]) -> Job:
    """Return the job that a row of ``COLUMNS`` is."""
    return Job(**row._mapping)
