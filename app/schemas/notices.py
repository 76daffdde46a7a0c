"""Notices of drift: what was told, and what became of it."""

from collections.abc import Sequence
from typing import Any

from pydantic import AwareDatetime

from app.notices.sender import Tried
from app.schemas.base import Body
from app.storage.outbox import Delivery, State, Told


class DeliveryInfo(Body):
    """How far a notice has come on its way to one sink."""

    sink: str
    """webhook, mqtt or folder."""
    state: State
    """given_up: after a day of attempts, or because it was never wanted."""
    attempts: int
    due_at: AwareDatetime
    """Of the next attempt, while it waits."""
    ended_at: AwareDatetime | None
    problem: str
    """Of the last attempt; empty if there was none."""

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryInfo":
        """Return its form."""
        return cls(
            sink=delivery.sink,
            state=delivery.state,
            attempts=delivery.attempts,
            due_at=delivery.due_at,
            ended_at=delivery.ended_at,
            problem=delivery.problem,
        )


class NoticeInfo(Body):
    """A notice."""

    number: int
    """Rises in the order in which notices were made."""
    made_at: AwareDatetime
    content: dict[str, Any]
    """What every sink gets; docs/notices.md says what its fields mean."""
    deliveries: list[DeliveryInfo]

    @classmethod
    def of(cls, told: Told) -> "NoticeInfo":
        """Return its form."""
        return cls(
            number=told.sequence,
            made_at=told.made_at,
            content=dict(told.content),
            deliveries=[DeliveryInfo.of(each) for each in told.deliveries],
        )


class NoticePage(Body):
    """Notices, newest first."""

    sinks: list[str]
    """Where notices go; none: none is made."""
    notices: list[NoticeInfo]
    next: int | None
    """What to give as before to read on; none at the end."""

    @classmethod
    def of(cls, told: Sequence[Told], limit: int, sinks: Sequence[str]) -> "NoticePage":
        """Return a page of those, one more than which was read to see whether there are more."""
        shown = told[:limit]
        return cls(
            sinks=list(sinks),
            notices=[NoticeInfo.of(each) for each in shown],
            next=shown[-1].sequence if len(told) > limit else None,
        )


class TriedInfo(Body):
    """What became of a test notice at one sink."""

    sink: str
    delivered: bool
    seconds: float
    problem: str | None
    """Why it was not."""

    @classmethod
    def of(cls, tried: Tried) -> "TriedInfo":
        """Return its form."""
        return cls(
            sink=tried.sink,
            delivered=tried.problem is None,
            seconds=tried.seconds,
            problem=tried.problem,
        )


class TrialReport(Body):
    """What became of a test notice."""

    sinks: list[TriedInfo]

    @classmethod
    def of(cls, tried: Sequence[Tried]) -> "TrialReport":
        """Return its form."""
        return cls(sinks=[TriedInfo.of(each) for each in tried])
