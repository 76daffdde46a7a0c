"""Notices of drift: what was told, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class DeliveryInfo:
    """How far a notice has come on its way to one sink."""

    sink: str
    """webhook, mqtt or folder."""
    state: str
    """given_up: after a day of attempts, or because it was never wanted."""
    attempts: int
    due_at: datetime
    """Of the next attempt, while it waits."""
    ended_at: datetime | None
    problem: str
    """Of the last attempt; empty if there was none."""


@dataclass(frozen=True, kw_only=True)
class NoticeInfo:
    """A notice."""

    number: int
    """Rises in the order in which notices were made."""
    made_at: datetime
    content: dict[str, Any]
    """What every sink gets; docs/notices.md says what its fields mean."""
    deliveries: list[DeliveryInfo]


@dataclass(frozen=True, kw_only=True)
class NoticePage:
    """Notices, newest first."""

    sinks: list[str]
    """Where notices go; none: none is made."""
    notices: list[NoticeInfo]
    next: int | None
    """What to give as before to read on; none at the end."""


@dataclass(frozen=True, kw_only=True)
class TriedInfo:
    """What became of a test notice at one sink."""

    sink: str
    delivered: bool
    seconds: float
    problem: str | None
    """Why it was not."""


@dataclass(frozen=True, kw_only=True)
class TrialReport:
    """What became of a test notice."""

    sinks: list[TriedInfo]
