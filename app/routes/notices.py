"""Read what was told of alarms and whether it arrived; send a test notice."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.errors import NoSinkError
from app.notices.sender import Sender
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.notices import NoticePage, TrialReport

router = APIRouter(
    prefix="/v1/notices",
    tags=["drift"],
    dependencies=[needs(Role.ADMIN)],
    responses=docs(*ERRORS),
)


def _sender(request: Request) -> Sender:
    """Return what delivers the notices of the service."""
    return cast(Sender, request.app.state.sender)


SenderDep = Annotated[Sender, Depends(_sender)]


@router.get("")
def read(
    sender: SenderDep,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many notices.")] = 100,
    before: Annotated[
        int | None, Query(ge=1, le=2**63 - 1, description="Begin before this number.")
    ] = None,
    detector: Annotated[
        DetectorName | None, Query(description="Only of this detector; unset: of all.")
    ] = None,
) -> NoticePage:
    """Read what was told of alarms, newest first, and what became of it at each sink."""
    told = sender.outbox.latest(limit + 1, detector=detector, before=before)
    return NoticePage.of(told, limit, sender.sinks)


@router.post("/test", responses=docs(NoSinkError))
async def send_test(sender: SenderDep) -> TrialReport:
    """Send a test notice to every sink now; the answer says where it arrived, and why not."""
    return TrialReport.of(await sender.try_all())
