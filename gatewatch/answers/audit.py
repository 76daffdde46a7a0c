"""The audit as it is shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class AuditLine:
    """One change."""

    sequence: int
    """Its place among all changes; there may be gaps."""
    at: datetime
    who: str
    """A key's name; local, where no key was needed."""
    action: str
    subject: str
    """What was changed: a detector's name, a key's id."""
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    request_id: str


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """Changes in the order in which they were made, or the newest first."""

    lines: list[AuditLine]
    next: int | None
    """What to give as after to read on, as before when the newest come first; none at the end."""
