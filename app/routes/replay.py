"""Judge the past again, without images."""

from typing import Annotated

from fastapi import APIRouter, Body, status

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.dependencies import SubmissionDep
from app.errors import IdempotencyConflictError, UnavailableError, UnknownDetectorError
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.jobs import JobInfo
from app.schemas.replay import NewReplay
from detector.errors import NotFittedError

router = APIRouter(
    prefix="/v1/detectors/{name}/replay",
    tags=["history"],
    dependencies=[needs(Role.FIT)],
    responses=docs(*ERRORS),
)


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    responses=docs(
        UnknownDetectorError, NotFittedError, UnavailableError, IdempotencyConflictError, body=True
    ),
)
async def replay(
    name: DetectorName, body: Annotated[NewReplay, Body()], submission: SubmissionDep
) -> JobInfo:
    """Judge what was scored by another version, scorer or threshold, in the background."""
    return JobInfo.of(await submission.submit("replay", name, body.model_dump(mode="json")))
