"""Read, try and set a detector's threshold."""

from typing import Annotated

from fastapi import APIRouter, Body, Query

from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.dependencies import ServiceDep, WhichDep
from app.errors import (
    ConflictError,
    UnavailableError,
    UnknownDetectorError,
    UnknownVersionError,
)
from app.parameters import made
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.histogram import CalibrationScores
from app.schemas.thresholds import (
    DrawnThreshold,
    NewPreview,
    NewThreshold,
    Preview,
    RedrawQuery,
    Threshold,
)
from detector.errors import (
    DegenerateDataError,
    InsufficientCalibrationError,
    InvalidSpecError,
    MissingAnomaliesError,
    NotCalibratedError,
    NotFittedError,
    StaleCalibrationError,
)

router = APIRouter(
    prefix="/v1/detectors/{name}/threshold", tags=["threshold"], responses=docs(*ERRORS)
)
CHOICE_ERRORS = (
    UnknownDetectorError,
    UnknownVersionError,
    NotFittedError,
    NotCalibratedError,
    StaleCalibrationError,
    InsufficientCalibrationError,
    MissingAnomaliesError,
    InvalidSpecError,
    DegenerateDataError,
)


@router.get(
    "",
    dependencies=[needs(Role.SCORE)],
    responses=docs(UnknownDetectorError, UnknownVersionError, NotCalibratedError),
)
def read(name: DetectorName, service: ServiceDep, which: WhichDep) -> Threshold:
    """Read the threshold and what is promised about it."""
    version = service.catalogue.with_threshold(name, which.version).version
    return Threshold.of(version.version, version.summary)


@router.put(
    "",
    dependencies=[needs(Role.ADMIN)],
    responses=docs(*CHOICE_ERRORS, ConflictError, UnavailableError, body=True),
)
def change(
    name: DetectorName,
    body: Annotated[NewThreshold, Body()],
    service: ServiceDep,
    by: ByDep,
    how: Annotated[RedrawQuery, made(RedrawQuery)],
) -> DrawnThreshold:
    """Draw the line elsewhere, which makes a version; in service, the next score uses it."""
    return DrawnThreshold.by(service.set_threshold(name, by, body.line(), **vars(how)))


@router.post(
    "/preview", dependencies=[needs(Role.SCORE)], responses=docs(*CHOICE_ERRORS, body=True)
)
def preview(
    name: DetectorName, body: Annotated[NewPreview, Body()], service: ServiceDep
) -> Preview:
    """Say what thresholds would do, and change nothing."""
    return Preview.of(service.preview(name, **body.asked()))


@router.get(
    "/scores",
    dependencies=[needs(Role.SCORE)],
    responses=docs(
        UnknownDetectorError, UnknownVersionError, NotCalibratedError, StaleCalibrationError
    ),
)
def scores(
    name: DetectorName,
    service: ServiceDep,
    which: WhichDep,
    bins: Annotated[int, Query(ge=10, le=200, description="Bins of equal width.")] = 60,
) -> CalibrationScores:
    """Count how the calibration's images have scored, and known anomalies beside them."""
    return CalibrationScores.of(service.calibration_scores(name, bins, **vars(which)))
