"""The audit as it is shown."""

from collections.abc import Sequence
from typing import Any

from pydantic import AwareDatetime

from app.schemas.base import Body
from app.storage.audit import Line


class AuditLine(Body):
    """One change."""

    sequence: int
    """Its place among all changes; there may be gaps."""
    at: AwareDatetime
    who: str
    """A key's name; local, where no key was needed."""
    action: str
    subject: str
    """What was changed: a detector's name, a key's id."""
    before: dict[str, Any]
    after: dict[str, Any]
    reason: str
    request_id: str


class AuditPage(Body):
    """Changes in the order in which they were made, or the newest first."""

    lines: list[AuditLine]
    next: int | None
    """What to give as after to read on, as before when the newest come first; none at the end."""

    @classmethod
    def of(cls, lines: Sequence[Line], limit: int) -> "AuditPage":
        """Return the first ``limit`` of these lines; one beyond tells that there are more."""
        shown = [
            AuditLine(**{name: getattr(line, name) for name in AuditLine.model_fields})
            for line in lines[:limit]
        ]
        return cls(lines=shown, next=shown[-1].sequence if len(lines) > limit else None)
