"""From failure to problem: one table, one shape (RFC 9457, application/problem+json)."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from app import errors
from detector import errors as domain
from detector.errors import DetectorError

STATUS: dict[type[DetectorError], int] = {
    errors.WrongKindError: 409,
    errors.UnknownDetectorError: 404,
    errors.DetectorExistsError: 409,
    errors.UnknownVersionError: 404,
    errors.InServiceError: 409,
    errors.NoPreviousVersionError: 409,
    errors.UnknownJobError: 404,
    errors.JobEndedError: 409,
    errors.IdempotencyConflictError: 422,
    errors.LeaseLostError: 409,
    errors.CannotAdaptError: 409,
    errors.NoAdaptedGatesError: 404,
    errors.AlreadyFittedError: 422,
    errors.DuplicateImageError: 422,
    errors.UnknownImageError: 404,
    errors.RowsNotKeptError: 409,
    errors.NothingLeftError: 409,
    errors.ConflictError: 409,
    errors.UndecodableImageError: 422,
    errors.UnsupportedImageError: 415,
    errors.ImageTooLargeError: 413,
    errors.NoImagesError: 422,
    errors.MalformedUploadError: 400,
    errors.InvalidTensorError: 422,
    errors.UnsupportedMediaTypeError: 415,
    errors.TooManyImagesError: 413,
    errors.OverloadedError: 503,
    errors.UnavailableError: 503,
    errors.InferenceError: 500,
    errors.StorageError: 500,
    errors.StorageUnavailableError: 503,
    errors.MissingBlobError: 500,
    errors.KeyRequiredError: 401,
    errors.KeyRefusedError: 401,
    errors.RoleTooLowError: 403,
    errors.TooManyRequestsError: 429,
    errors.InvalidKeySpecError: 422,
    errors.KeyExistsError: 409,
    errors.TooManyKeysError: 409,
    errors.UnknownKeyError: 404,
    errors.NoAdminKeyError: 409,
    errors.UnprotectedError: 500,
    errors.UploadTooLargeError: 413,
    errors.CompressionRatioError: 413,
    errors.RefusedMemberError: 422,
    errors.InvalidGroupError: 422,
    errors.ForbiddenFolderError: 403,
    errors.UnknownFolderError: 404,
    errors.DamagedSpoolError: 500,
    errors.ReviewMismatchError: 409,
    errors.NoProposalError: 409,
    errors.ShadowInServiceError: 409,
    errors.DriftNotWatchedError: 409,
    errors.InvalidSinkError: 500,
    errors.NoSinkError: 409,
    errors.NotDeliveredError: 502,
    errors.InvalidBundleError: 422,
    errors.ParityError: 409,
    domain.NotFittedError: 409,
    domain.NotCalibratedError: 409,
    domain.StaleCalibrationError: 409,
    domain.MissingAnomaliesError: 409,
    domain.FingerprintMismatchError: 409,
    domain.DegenerateDataError: 422,
    domain.InsufficientCalibrationError: 422,
    domain.InvalidSpecError: 422,
    domain.InvalidMaskError: 422,
    domain.MaskMismatchError: 422,
    domain.NoMapError: 409,
    domain.ArtefactError: 500,
    domain.BackboneError: 500,
    domain.DeviceMemoryError: 503,
    domain.DeviceLostError: 503,
    domain.EngineNotReadyError: 503,
    domain.UndecodableSampleError: 422,
    domain.UnsupportedSampleError: 415,
    domain.SampleTooLargeError: 413,
}
MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong: ``type`` is stable, ``detail`` says what to do."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str


def _always(kind: type[DetectorError]) -> dict[str, Any]:
    words = re.findall("[A-Z][a-z0-9]*", kind.__name__.removesuffix("Error"))
    return {
        "type": "urn:gatewatch:problem:" + "-".join(words).lower(),
        "title": " ".join(words).capitalize(),
        "status": STATUS[kind],
    }


_ALWAYS = {kind: _always(kind) for kind in STATUS}
"""What all problems of a kind have in common."""


def of(error: DetectorError) -> Problem:
    """Return the problem that stands for an expected failure."""
    kind = next(kind for kind in type(error).__mro__ if kind in STATUS)
    return Problem(**_ALWAYS[kind], detail=str(error))


def docs(*kinds: type[DetectorError], body: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return a route's ``responses`` for these failures, for bad parameters and for bad bodies."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    by_status: dict[int, list[str]] = {422: ["A parameter or the body is not valid."]}
    if body:
        by_status |= {
            400: ["The body cannot be read."],
            408: ["The body came too slowly."],
            413: ["The body has too many bytes."],
            415: ["The body is of another content type."],
        }
    for kind in kinds:
        text = (kind.__doc__ or "").strip().splitlines()[0]
        by_status.setdefault(STATUS[kind], []).append(text)
    return {
        status: {"description": " ".join(dict.fromkeys(texts)), "content": content}
        for status, texts in by_status.items()
    }
