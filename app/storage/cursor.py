"""Where a list that is read page by page, newest first, goes on."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, or_

PATTERN = r"^\d{1,16}-[0-9a-f]{32}$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last entry that was read: its moment, and its id among those of the same moment."""

    at: datetime
    id: str

    def __str__(self) -> str:
        """Microseconds since 1970 and the id, to be sent in a URL."""
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.id}"

    @classmethod
    def of(cls, sent: str | None) -> "Cursor | None":
        """Return what a text that matches ``PATTERN`` stands for; None, the beginning, for none."""
        if not sent:
            return None
        microseconds, _, identity = sent.partition("-")
        return cls(_EPOCH + timedelta(microseconds=int(microseconds)), identity)


def newest_first(table: Table, at: str = "at") -> tuple[Any, Any]:
    """Return the order of a table with columns ``id`` and ``at``, or another of moments."""
    return table.c[at].desc(), table.c.id.desc()


def beyond(table: Table, cursor: Cursor, at: str = "at") -> ColumnElement[bool]:
    """Return the condition for what follows in that order."""
    earlier, same = table.c[at] < cursor.at, table.c[at] == cursor.at
    return or_(earlier, and_(same, table.c.id < cursor.id))
