"""Score images, look closer at one, compare a batch."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from app.access.credentials import Role
from app.access.guard import ERRORS as ACCESS_ERRORS
from app.access.guard import needs
from app.dependencies import ServiceDep, UploadDep, WhichDep, answered
from app.errors import (
    CompressionRatioError,
    ImageTooLargeError,
    InferenceError,
    MalformedUploadError,
    NoImagesError,
    OverloadedError,
    RefusedMemberError,
    TooManyImagesError,
    UnavailableError,
    UndecodableImageError,
    UnknownDetectorError,
    UnknownVersionError,
    UnsupportedImageError,
    UnsupportedMediaTypeError,
    UploadTooLargeError,
)
from app.lone_sample import HowDep, ScoreRoute
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.bodies import IMAGE_BODY, IMAGES_BODY
from app.schemas.comparison import Comparison
from app.schemas.inspection import Explanation
from app.schemas.scores import GroupQuery, Scores
from app.scoring import inspection, overlay
from detector.errors import (
    DegenerateDataError,
    FingerprintMismatchError,
    InvalidMaskError,
    MaskMismatchError,
    NoMapError,
    NotCalibratedError,
    NotFittedError,
    StaleCalibrationError,
)

router = APIRouter(
    prefix="/v1/detectors/{name}",
    tags=["score"],
    dependencies=[needs(Role.SCORE)],
    responses=docs(*ACCESS_ERRORS),
)


IMAGE_ERRORS = (
    InvalidMaskError,
    MalformedUploadError,
    NoImagesError,
    TooManyImagesError,
    UploadTooLargeError,
    CompressionRatioError,
    RefusedMemberError,
    UnsupportedMediaTypeError,
    UndecodableImageError,
    UnsupportedImageError,
    ImageTooLargeError,
    OverloadedError,
    UnavailableError,
    InferenceError,
)
"""What a request with images to be scored may answer, whatever the detector."""

ERRORS = (
    UnknownDetectorError,
    UnknownVersionError,
    NotFittedError,
    StaleCalibrationError,
    FingerprintMismatchError,
    MaskMismatchError,
    *IMAGE_ERRORS,
)


async def score(
    name: DetectorName,
    upload: UploadDep,
    service: ServiceDep,
    response: Response,
    how: HowDep,
) -> Scores:
    """Score one image (raw body) or many (form, zip, JSON, NDJSON), where a bad one fails alone."""
    scored = await service.score(name, upload, **vars(how))
    return Scores.of(answered(scored, upload, response))


router.add_api_route(
    "/score",
    score,
    methods=["POST"],
    responses=docs(*ERRORS, NotCalibratedError, body=True),
    openapi_extra=IMAGES_BODY,
    route_class_override=ScoreRoute,
)


@router.post("/explain", responses=docs(*ERRORS, body=True), openapi_extra=IMAGE_BODY)
async def explain(
    name: DetectorName,
    upload: UploadDep,
    service: ServiceDep,
    which: WhichDep,
    group: GroupQuery = "",
) -> Explanation:
    """Say of one image where it is odd, and show the fitted images it is most like."""
    inspected = await inspection.inspect(
        service, name, upload, needs_map=False, group=group, **vars(which)
    )
    return Explanation.of(inspected)


@router.post(
    "/map",
    response_class=Response,
    responses=docs(*ERRORS, NoMapError, NotCalibratedError, body=True)
    | {
        200: {
            "description": "The picture with its odd places painted, or the map's values.",
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in overlay.MEDIA_TYPES.values()
            },
        }
    },
    openapi_extra=IMAGE_BODY,
)
async def anomaly_map(
    name: DetectorName,
    upload: UploadDep,
    service: ServiceDep,
    which: WhichDep,
    group: GroupQuery = "",
    format: Annotated[
        Literal["png", "npy"],
        Query(description="Overlay on a scale tied to the threshold, or float32 values."),
    ] = "png",
) -> Response:
    """Draw one image's map: transparent below 0.8 of the threshold, yellow at it, red from 1.6."""
    content = await inspection.draw(service, name, upload, format, group=group, **vars(which))
    return Response(content, media_type=overlay.MEDIA_TYPES[format])


@router.post(
    "/divergence",
    responses=docs(*ERRORS, DegenerateDataError, body=True),
    openapi_extra=IMAGES_BODY,
)
async def divergence(
    name: DetectorName, upload: UploadDep, service: ServiceDep, which: WhichDep
) -> Comparison:
    """Say how far a batch of images, as a whole, is from the fitted ones (Kullback-Leibler)."""
    return Comparison.of(await inspection.compare(service, name, upload, version=which.version))
