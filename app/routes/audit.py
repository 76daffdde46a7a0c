"""Read who changed what."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.problems import docs
from app.schemas.audit import AuditPage
from app.storage.audit import Audit, Order

router = APIRouter(
    prefix="/v1/audit",
    tags=["audit"],
    dependencies=[needs(Role.ADMIN)],
    responses=docs(*ERRORS),
)


def _audit(request: Request) -> Audit:
    """Return the audit of the service."""
    return cast(Audit, request.app.state.audit)


@router.get("")
def read(
    audit: Annotated[Audit, Depends(_audit)],
    after: Annotated[
        int, Query(ge=0, le=2**63 - 1, description="Only lines beyond this sequence number.")
    ] = 0,
    before: Annotated[
        int | None,
        Query(ge=0, le=2**63 - 1, description="Only lines below this sequence number."),
    ] = None,
    order: Annotated[Order, Query(description="Which lines come first.")] = "oldest",
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many lines.")] = 100,
    subject: Annotated[
        str,
        Query(
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f]*$",
            description="Only changes of this detector, key, ...; empty: all.",
        ),
    ] = "",
) -> AuditPage:
    """Read changes in the order in which they were made, or the newest first."""
    lines = audit.lines(after=after, before=before, order=order, limit=limit + 1, subject=subject)
    return AuditPage.of(lines, limit)
