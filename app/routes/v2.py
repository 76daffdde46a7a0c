"""Detectors as models of the open inference protocol (V2), for KServe, Triton's clients, Seldon."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from app.access.credentials import Role
from app.access.guard import ERRORS as ACCESS_ERRORS
from app.access.guard import needs
from app.dependencies import InferenceDep, ServiceDep
from app.errors import (
    ImageTooLargeError,
    InferenceError,
    InvalidGroupError,
    InvalidTensorError,
    MalformedUploadError,
    OverloadedError,
    TooManyImagesError,
    UnavailableError,
    UndecodableImageError,
    UnknownDetectorError,
    UnknownVersionError,
    UnsupportedImageError,
    UnsupportedMediaTypeError,
    WrongKindError,
)
from app.problems import docs
from app.schemas.base import MAX_VERSION, DetectorName
from app.schemas.v2 import (
    InferRequest,
    InferResponse,
    Live,
    Model,
    ModelReady,
    Ready,
    Server,
    described,
)
from app.scoring import inferring
from detector.errors import (
    FingerprintMismatchError,
    MaskMismatchError,
    NotCalibratedError,
    NotFittedError,
    StaleCalibrationError,
)

router = APIRouter(prefix="/v2", tags=["v2"])
Version = Annotated[int, Path(ge=1, le=MAX_VERSION)]

UNKNOWN = (*ACCESS_ERRORS, UnknownDetectorError, UnknownVersionError, WrongKindError)
UNUSABLE = (
    *UNKNOWN,
    NotFittedError,
    StaleCalibrationError,
    FingerprintMismatchError,
    MaskMismatchError,
    UnavailableError,
)
REFUSED = (
    *UNUSABLE,
    NotCalibratedError,
    InvalidTensorError,
    InvalidGroupError,
    UndecodableImageError,
    UnsupportedImageError,
    ImageTooLargeError,
    TooManyImagesError,
    MalformedUploadError,
    UnsupportedMediaTypeError,
    OverloadedError,
    InferenceError,
)
BODY = described(InferRequest)


@router.get("/health/live", responses={503: {"model": Live, "description": "Start it again."}})
async def live(service: ServiceDep, response: Response) -> Live:
    """Say whether the process can go on, or only another one could."""
    response.status_code = 503 if service.health.why_not_alive() else 200
    return Live(live=response.status_code == 200)


@router.get(
    "/health/ready", responses={503: {"model": Ready, "description": "Not ready to score."}}
)
async def ready(service: ServiceDep, response: Response) -> Ready:
    """Say whether an image sent now would be scored."""
    response.status_code = 200 if service.ready else 503
    return Ready(ready=service.ready)


@router.get("", dependencies=[needs(Role.SCORE)], responses=docs(*ACCESS_ERRORS))
async def server() -> Server:
    """Say what runs here."""
    return Server()


@router.get("/models/{name}", dependencies=[needs(Role.SCORE)], responses=docs(*UNKNOWN))
async def model(name: DetectorName, service: ServiceDep) -> Model:
    """Say what a detector, as a model, takes and gives at its version in service."""
    return Model.of(await inferring.model(service, name))


@router.get(
    "/models/{name}/versions/{version}",
    dependencies=[needs(Role.SCORE)],
    responses=docs(*UNKNOWN),
)
async def model_version(name: DetectorName, version: Version, service: ServiceDep) -> Model:
    """Say what a version of a detector, as a model, takes and gives."""
    return Model.of(await inferring.model(service, name, version))


@router.get("/models/{name}/ready", dependencies=[needs(Role.SCORE)], responses=docs(*UNUSABLE))
async def model_ready(name: DetectorName, service: ServiceDep) -> ModelReady:
    """Say that a detector would score an image sent now, or why it would not."""
    return ModelReady.of(await inferring.require_ready(service, name))


@router.get(
    "/models/{name}/versions/{version}/ready",
    dependencies=[needs(Role.SCORE)],
    responses=docs(*UNUSABLE),
)
async def version_ready(name: DetectorName, version: Version, service: ServiceDep) -> ModelReady:
    """Say that a version of a detector would score an image sent now, or why it would not."""
    return ModelReady.of(await inferring.require_ready(service, name, version))


@router.post(
    "/models/{name}/infer",
    dependencies=[needs(Role.SCORE)],
    responses=docs(*REFUSED, body=True),
    openapi_extra=BODY,
    response_model_exclude_none=True,
)
async def infer(name: DetectorName, asked: InferenceDep, service: ServiceDep) -> InferResponse:
    """Score images by the version in service, all or none: V2 has no errors of single images."""
    return InferResponse.of(await inferring.infer(service, name, **asked.how), asked.id)


@router.post(
    "/models/{name}/versions/{version}/infer",
    dependencies=[needs(Role.SCORE)],
    responses=docs(*REFUSED, body=True),
    openapi_extra=BODY,
    response_model_exclude_none=True,
)
async def infer_version(
    name: DetectorName, version: Version, asked: InferenceDep, service: ServiceDep
) -> InferResponse:
    """Score images by a version, all or none."""
    inferred = await inferring.infer(service, name, version=version, **asked.how)
    return InferResponse.of(inferred, asked.id)
