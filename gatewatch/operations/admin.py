"""Who asks, keys, and who changed what."""

from datetime import datetime
from typing import Any, Literal

from gatewatch.answers import AuditLine, AuditPage, KeyInfo, KeyList, KeyMade, Me
from gatewatch.calls import Call, Listing, answers, document, nothing
from gatewatch.reading import read

PAGE = 1000
Role = Literal["score", "fit", "admin"]


def me() -> Call[Me]:
    """Return whose key is sent and what it may do, or that none is needed."""
    return Call("GET /v1/me", answers(Me))


def create_key(
    name: str,
    role: Role,
    *,
    expires_at: datetime | None = None,
    per_minute: int | None = None,
    reason: str = "",
) -> Call[KeyMade]:
    """Make an API key; its text is in the answer, and never shown again."""
    body: dict[str, Any] = {
        "name": name,
        "role": role,
        "expires_at": expires_at and expires_at.isoformat(),
        "per_minute": per_minute,
    }
    return Call(
        "POST /v1/keys",
        answers(KeyMade),
        query={"reason": reason},
        document={key: value for key, value in body.items() if value is not None},
    )


def keys() -> Call[list[KeyInfo]]:
    """Return all keys there ever were, oldest first."""
    return Call("GET /v1/keys", lambda content: read(KeyList, document(content)).keys)


def revoke_key(id: str, *, force: bool = False, reason: str = "") -> Call[None]:
    """Revoke a key; with ``force`` also the last that can manage the others."""
    return Call(
        "DELETE /v1/keys/{id}", nothing, parts={"id": id}, query={"force": force, "reason": reason}
    )


def audit(
    *,
    after: int = 0,
    before: int | None = None,
    order: Literal["oldest", "newest"] = "oldest",
    subject: str = "",
    limit: int | None = None,
) -> Listing[AuditLine]:
    """Go through the changes between two sequence numbers, the oldest or the newest first."""
    begin = "before" if order == "newest" else "after"

    def page(cursor: int | None) -> Call[AuditPage]:
        between = {"after": after, "before": before}
        if cursor is not None:
            between[begin] = cursor
        query = {**between, "order": order, "limit": PAGE, "subject": subject}
        return Call("GET /v1/audit", answers(AuditPage), query=query)

    return Listing(page, lambda page: (page.lines, page.next), limit)
