"""Judge the past again, without images; or watch it again for drift."""

from typing import Annotated

from fastapi import APIRouter, Body, status

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.dependencies import SubmissionDep
from app.errors import IdempotencyConflictError, UnavailableError, UnknownDetectorError
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.drift_replay import NewDriftReplay
from app.schemas.jobs import JobInfo
from app.schemas.replay import NewReplay
from detector.errors import NotFittedError

router = APIRouter(
    prefix="/v1/detectors/{name}",
    tags=["history"],
    dependencies=[needs(Role.FIT)],
    responses=docs(*ERRORS),
)
SUBMITTED = docs(
    UnknownDetectorError, NotFittedError, UnavailableError, IdempotencyConflictError, body=True
)


@router.post("/replay", status_code=status.HTTP_202_ACCEPTED, responses=SUBMITTED)
async def replay(
    name: DetectorName, body: Annotated[NewReplay, Body()], submission: SubmissionDep
) -> JobInfo:
    """Judge what was scored by another version, scorer or threshold, in the background."""
    return JobInfo.of(await submission.submit("replay", name, body.model_dump(mode="json")))


@router.post("/drift/replay", status_code=status.HTTP_202_ACCEPTED, responses=SUBMITTED)
async def replay_drift(
    name: DetectorName, body: Annotated[NewDriftReplay, Body()], submission: SubmissionDep
) -> JobInfo:
    """Tell which alarms of drift there would have been over what was scored, in the background."""
    return JobInfo.of(await submission.submit("drift-replay", name, body.model_dump(mode="json")))
