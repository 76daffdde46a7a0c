"""Fit a detector to normal images, and calibrate it with others."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from app.dependencies import IMAGES_BODY, ServiceDep, UploadDep
from app.errors import (
    ConflictError,
    MalformedUploadError,
    NoImagesError,
    TooManyImagesError,
    UnavailableError,
    UnknownDetectorError,
    UnsupportedMediaTypeError,
)
from app.problems import docs
from app.schemas.base import DetectorName, Rate
from app.schemas.learning import Calibrated, Fitted
from detector.errors import (
    DegenerateDataError,
    FingerprintMismatchError,
    InsufficientCalibrationError,
    InvalidMaskError,
    InvalidSpecError,
    MaskMismatchError,
    NotFittedError,
)

router = APIRouter(prefix="/v1/detectors/{name}", tags=["learning"])

UPLOAD_ERRORS = (
    UnknownDetectorError,
    MalformedUploadError,
    NoImagesError,
    TooManyImagesError,
    UnsupportedMediaTypeError,
    UnavailableError,
    ConflictError,
    FingerprintMismatchError,
    InvalidMaskError,
    MaskMismatchError,
)


@router.post(
    "/fit",
    responses=docs(*UPLOAD_ERRORS, DegenerateDataError, InvalidSpecError, body=True),
    openapi_extra=IMAGES_BODY,
)
async def fit(
    name: DetectorName,
    upload: UploadDep,
    service: ServiceDep,
    mode: Annotated[
        Literal["replace", "extend"], Query(description="Start anew, or add to what is known.")
    ] = "replace",
) -> Fitted:
    """Fit to normal images; calibration and threshold are dropped, for they would be stale."""
    return Fitted.of(await service.fit(name, upload, extend=mode == "extend"))


@router.post(
    "/calibrate",
    responses=docs(*UPLOAD_ERRORS, NotFittedError, InsufficientCalibrationError, body=True),
    openapi_extra=IMAGES_BODY,
)
async def calibrate(
    name: DetectorName,
    upload: UploadDep,
    service: ServiceDep,
    target: Annotated[Rate, Query(description="Highest false-alarm rate, as a fraction.")] = 0.05,
) -> Calibrated:
    """Score normal images that were not fitted, and set the threshold for a false-alarm rate."""
    return Calibrated.of(await service.calibrate(name, upload, target=target))
