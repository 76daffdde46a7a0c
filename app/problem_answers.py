"""The answer to every failure of the application, expected or not, is a problem."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app import errors
from app.paths import path_of
from app.problems import MEDIA_TYPE, Problem, of
from detector.errors import DetectorError

log = logging.getLogger(__name__)

RETRY_AFTER_S = 1
# RFC 6750, section 3: a request without a key learns the scheme, and no error code.
CHALLENGES: dict[type[DetectorError], str] = {
    errors.KeyRequiredError: 'Bearer realm="gatewatch"',
    errors.KeyRefusedError: 'Bearer realm="gatewatch", error="invalid_token"',
    errors.RoleTooLowError: 'Bearer realm="gatewatch", error="insufficient_scope"',
}
V2_PATHS = "/v2"


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
