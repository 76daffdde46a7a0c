"""Fit a detector to normal images, calibrate it with others, forget some: all of it as jobs."""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query, status

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.dependencies import ChangeDep, GroupsDep, SubmissionDep
from app.errors import (
    CompressionRatioError,
    ForbiddenFolderError,
    IdempotencyConflictError,
    InvalidGroupError,
    MalformedUploadError,
    NoImagesError,
    RefusedMemberError,
    TooManyImagesError,
    UnavailableError,
    UnknownDetectorError,
    UnknownFolderError,
    UnknownVersionError,
    UnsupportedMediaTypeError,
    UploadTooLargeError,
)
from app.parameters import made
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.bodies import CALIBRATION_BODY, JOB_BODY
from app.schemas.jobs import JobInfo
from app.schemas.learning import NewForgetting
from app.schemas.thresholds import LineQuery
from app.storage.jobs import Kind
from detector.errors import InvalidSpecError, NotFittedError

router = APIRouter(prefix="/v1/detectors/{name}", tags=["learning"], responses=docs(*ERRORS))

UPLOAD_ERRORS = (
    MalformedUploadError,
    NoImagesError,
    TooManyImagesError,
    UploadTooLargeError,
    CompressionRatioError,
    RefusedMemberError,
    InvalidGroupError,
    ForbiddenFolderError,
    UnknownFolderError,
    UnsupportedMediaTypeError,
    UnavailableError,
    IdempotencyConflictError,
)
"""What a request may answer that begins a job with images."""
MODES: dict[str, Kind] = {"replace": "fit", "extend": "extend"}


@router.post(
    "/fit",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Role.FIT)],
    responses=docs(UnknownDetectorError, UnknownVersionError, *UPLOAD_ERRORS, body=True),
    openapi_extra=JOB_BODY,
)
async def fit(
    name: DetectorName,
    submission: SubmissionDep,
    change: ChangeDep,
    groups: GroupsDep,
    mode: Annotated[
        Literal["replace", "extend"], Query(description="Start anew, or add to what is known.")
    ] = "replace",
) -> JobInfo:
    """Fit to normal images, in the background; a calibration of what was known becomes stale."""
    kind, coming = MODES[mode], groups.coming()
    return JobInfo.of(await submission.submit(kind, name, asdict(change), coming))


@router.post(
    "/forget",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Role.FIT)],
    responses=docs(
        UnknownDetectorError,
        UnknownVersionError,
        NotFittedError,
        UnavailableError,
        IdempotencyConflictError,
        body=True,
    ),
)
async def forget(
    name: DetectorName,
    body: Annotated[NewForgetting, Body()],
    submission: SubmissionDep,
    change: ChangeDep,
) -> JobInfo:
    """Take images out of what was fitted, exactly, by the SHA-256 of their files or by group."""
    return JobInfo.of(await submission.submit("forget", name, body.asked() | asdict(change)))


@router.post(
    "/calibrate",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Role.ADMIN)],
    responses=docs(
        UnknownDetectorError,
        UnknownVersionError,
        *UPLOAD_ERRORS,
        NotFittedError,
        InvalidSpecError,
        body=True,
    ),
    openapi_extra=CALIBRATION_BODY,
)
async def calibrate(
    name: DetectorName,
    submission: SubmissionDep,
    change: ChangeDep,
    groups: GroupsDep,
    line: Annotated[LineQuery, made(LineQuery)],
) -> JobInfo:
    """Score normal images that were not fitted, and known anomalies if any; draw the line."""
    asked = line.asked() | asdict(change)
    return JobInfo.of(
        await submission.submit("calibrate", name, asked, groups.coming(anomalies=True))
    )


@router.post(
    "/recalibrate",
    status_code=status.HTTP_202_ACCEPTED,
    dependencies=[needs(Role.ADMIN)],
    responses=docs(
        UnknownDetectorError,
        UnknownVersionError,
        NotFittedError,
        InvalidSpecError,
        UnavailableError,
        IdempotencyConflictError,
    ),
)
async def recalibrate(
    name: DetectorName,
    submission: SubmissionDep,
    change: ChangeDep,
    line: Annotated[LineQuery, made(LineQuery)],
) -> JobInfo:
    """Score the last calibration's images again, from their rows, after a change of the fit.

    Without a method or parameters the line is drawn as before: method, target, groups and review.
    """
    asked = line.asked_again() | asdict(change)
    return JobInfo.of(await submission.submit("calibrate", name, asked))
