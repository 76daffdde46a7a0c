"""The audit: who changed what, from what, to what, and why; lines are only ever added."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from app.storage.database import Database
from app.storage.tables import AUDIT, now


@dataclass(frozen=True, slots=True)
class By:
    """Who makes a change, why, and in which request."""

    who: str
    reason: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One change."""

    sequence: int
    at: datetime
    who: str
    action: str
    subject: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    reason: str
    request_id: str


def record(
    connection: Connection,
    by: By,
    action: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add a line in the transaction of the change itself: neither is kept without the other."""
    connection.execute(
        insert(AUDIT).values(
            at=now(),
            who=by.who,
            action=action,
            subject=subject,
            before=dict(before or {}),
            after=dict(after or {}),
            reason=by.reason,
            request_id=by.request_id,
        )
    )


class Audit:
    """Reads the lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lines(self, *, after: int = 0, limit: int = 100, subject: str = "") -> list[Line]:
        """Return lines in the order in which they were added.

        Args:
            after: the sequence number beyond which to begin.
            limit: at most so many.
            subject: only those about it, if given.
        """
        chosen = select(AUDIT).where(AUDIT.c.sequence > after)
        if subject:
            chosen = chosen.where(AUDIT.c.subject == subject)
        with self._database.read() as connection:
            rows = connection.execute(chosen.order_by(AUDIT.c.sequence).limit(limit))
            return [Line(**row._mapping) for row in rows]
