"""Watch jobs, and cancel them."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, status
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.dependencies import JobDep, ServiceDep
from app.errors import JobEndedError, UnknownJobError
from app.jobs import ending
from app.jobs.events import events
from app.problems import docs
from app.routes.images import CursorQuery, LimitQuery
from app.schemas.base import DetectorName
from app.schemas.jobs import JobInfo, JobPage
from app.storage.cursor import Cursor

router = APIRouter(
    prefix="/v1/jobs", tags=["jobs"], dependencies=[needs(Role.FIT)], responses=docs(*ERRORS)
)


@router.get("")
def list_all(
    service: ServiceDep,
    detector: Annotated[DetectorName | None, Query(description="Only of this one.")] = None,
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> JobPage:
    """List jobs, newest first; what came of each is at its own address."""
    found = service.storage.jobs.latest(
        detector=detector, limit=limit + 1, cursor=Cursor.of(cursor)
    )
    return JobPage.of(found, limit)


@router.get("/{job}", responses=docs(UnknownJobError))
def show(job: JobDep) -> JobInfo:
    """Show how far a job is, and what came of it."""
    return JobInfo.of(job)


@router.get("/{job}/events", response_class=EventSourceResponse, responses=docs(UnknownJobError))
async def watch(
    job: JobDep,
    service: ServiceDep,
    last: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description="What was seen last is not sent again."),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """Send the job as often as it changes (server-sent events), until its end."""
    async for event in events(service.storage.jobs, job.id, last):
        yield event


@router.delete(
    "/{job}", status_code=status.HTTP_202_ACCEPTED, responses=docs(UnknownJobError, JobEndedError)
)
def cancel(job: JobDep, service: ServiceDep, by: ByDep) -> JobInfo:
    """Cancel a job; what it had done is dropped, and no version is made."""
    return JobInfo.of(ending.cancel(service, job.id, by))
