"""The audit: who changed what, from what, to what, and why; lines are only ever added."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, func, insert, select

from app.access.credentials import without_secrets
from app.clock import now
from app.storage.database import Database
from app.storage.tables import AUDIT

Order = Literal["oldest", "newest"]
"""Which lines come first."""
_ONE_BY_ONE = 0x61756474  # any number of our own: "audt"


@dataclass(frozen=True, slots=True)
class By:
    """Who makes a change, why, and in which request; a key in the reason is left out."""

    who: str
    reason: str = ""
    request_id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", without_secrets(self.reason))


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
    """Add a line in the transaction of the change itself: neither is kept without the other.

    It is the last statement of a change. On PostgreSQL a sequence number is drawn long before it is
    seen: changes that write lines wait for each other from here to their end, so that who has read
    up to a number has missed none below it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ONE_BY_ONE)))
    connection.execute(
        insert(AUDIT).values(
            at=now(),
            who=by.who,
            action=action,
            subject=subject,
            before=_clean(before or {}),
            after=_clean(after or {}),
            reason=by.reason,
            request_id=by.request_id,
        )
    )


def _clean(value: Any) -> Any:
    """Return JSON with the secrets of keys left out of all texts, wherever they stand."""
    match value:
        case str():
            return without_secrets(value)
        case Mapping():
            return {without_secrets(key): _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
    return value


class Audit:
    """Reads the lines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lines(
        self,
        *,
        after: int = 0,
        before: int | None = None,
        order: Order = "oldest",
        limit: int = 100,
        subject: str = "",
    ) -> list[Line]:
        """Return lines in the order in which they were added, or the other way round.

        Args:
            after: only those beyond this sequence number.
            before: only those below this one, if given.
            order: which come first, and are left when there are more than ``limit``.
            limit: at most so many.
            subject: only those about it, if given.
        """
        place = AUDIT.c.sequence
        chosen = select(AUDIT).where(place > after)
        if before is not None:
            chosen = chosen.where(place < before)
        if subject:
            chosen = chosen.where(AUDIT.c.subject == subject)
        chosen = chosen.order_by(place.desc() if order == "newest" else place)
        with self._database.read() as connection:
            rows = connection.execute(chosen.limit(limit))
            return [Line(**row._mapping) for row in rows]
