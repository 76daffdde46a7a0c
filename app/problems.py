"""From failure to HTTP answer: one table, one shape (RFC 9457, application/problem+json)."""

import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from app import errors
from app.paths import path_of
from detector import errors as domain
from detector.errors import DetectorError

log = logging.getLogger(__name__)

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
RETRY_AFTER_S = 1
# RFC 6750, section 3: a request without a key learns the scheme, and no error code.
CHALLENGES: dict[type[DetectorError], str] = {
    errors.KeyRequiredError: 'Bearer realm="gatewatch"',
    errors.KeyRefusedError: 'Bearer realm="gatewatch", error="invalid_token"',
    errors.RoleTooLowError: 'Bearer realm="gatewatch", error="insufficient_scope"',
}
MEDIA_TYPE = "application/problem+json"
V2_PATHS = "/v2"


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


def install(app: FastAPI) -> None:
    """Answer every failure of the app, expected or not, with a problem."""
    app.add_exception_handler(DetectorError, _domain)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _answer(
    request: Request, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    request_id = request.scope.get("request_id", "")
    content = problem.model_dump() | {"request_id": request_id}
    if path_of(request.scope).startswith(V2_PATHS):
        content["error"] = problem.detail  # where clients of the open inference protocol look
    named = {"X-Request-ID": request_id} | dict(headers or {})  # an unexpected one passes no other
    return JSONResponse(content, problem.status, named, media_type=MEDIA_TYPE)


def answer(request: Request, error: DetectorError) -> JSONResponse:
    """Return the answer that tells of an expected failure."""
    problem = of(error)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request %s failed", request.scope.get("request_id"), exc_info=error)
    headers = {}
    if problem.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = str(getattr(error, "retry_after_s", RETRY_AFTER_S))
    if type(error) in CHALLENGES:
        headers["WWW-Authenticate"] = CHALLENGES[type(error)]
    return _answer(request, problem, headers)


async def _domain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, DetectorError)
    return answer(request, error)


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes):  # FastAPI reads only what is announced as JSON
        sent = request.headers.get("content-type")
        got = f"got {sent!r}" if sent else "got none"
        return answer(
            request,
            errors.UnsupportedMediaTypeError(f"send Content-Type: application/json; {got}"),
        )
    found = [
        {"where": ".".join(map(str, item["loc"])), "message": item["msg"]}
        for item in error.errors()
    ]
    # FastAPI leaves out what is wrong, and where.
    if isinstance(bad := error.__cause__, json.JSONDecodeError):
        return _invalid_json(request, f"{bad.msg} at line {bad.lineno} column {bad.colno}")
    return _invalid(request, found)


def _invalid_json(request: Request, why: str) -> JSONResponse:
    return _invalid(request, [{"where": "body", "message": f"Invalid JSON: {why}"}])


def _invalid(request: Request, found: list[dict[str, str]]) -> JSONResponse:
    detail = "; ".join(f"{item['where']}: {item['message']}" for item in found)
    problem = Problem(
        type="urn:gatewatch:problem:invalid-request",
        title="Invalid request",
        status=422,
        detail=detail,
        errors=found,
    )
    return _answer(request, problem)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    # FastAPI says of these that there was an error.
    if isinstance(bad := error.__cause__, UnicodeDecodeError):
        return _invalid_json(request, f"no {bad.encoding} at byte {bad.start + 1}")
    if isinstance(bad, RecursionError):
        return _invalid_json(request, "nested too deeply")
    if isinstance(bad, ValueError):  # what Python says of whole numbers of thousands of digits
        return _invalid_json(request, "a number of too many digits")
    title = HTTPStatus(error.status_code).phrase
    problem = Problem(
        type="about:blank", title=title, status=error.status_code, detail=str(error.detail)
    )
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # Starlette names the methods of the first route of this path, not of all.
        template = getattr(request.scope.get("route"), "path", "")
        methods = request.app.openapi()["paths"].get(template, {})
        headers["Allow"] = ", ".join(sorted(map(str.upper, methods))) or headers.get("Allow", "")
    return _answer(request, problem, headers)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request %s failed", request.scope.get("request_id"), exc_info=error)
    detail = "The server failed; its log has the cause under this request_id."
    problem = Problem(type="about:blank", title="Internal error", status=500, detail=detail)
    return _answer(request, problem)
