"""Around every request: an id, a log line, a count and a duration; a limit on its body."""

import asyncio
import json
import logging
import re
import time
from dataclasses import dataclass

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.credentials import without_secrets
from app.console.pages import is_console
from app.ids import new_id
from app.paths import path_of
from app.telemetry import Telemetry

log = logging.getLogger("gatewatch.access")

REQUEST_ID = "x-request-id"
LIMIT = "gatewatch.body_limit"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")
CLIENT_GONE = 499
"""Status of a request whose client has gone, for the log and the metrics: nobody gets it."""
DOCUMENT_BYTES = 4 * 2**20
"""Largest body of a route that takes no images: a mask image of 3 MB in base64, or 20,000 digests
and 1,000 groups to forget. JSON is parsed in the event loop, at its worst (nothing but brackets)
4 MiB in half a second and 20 times the memory."""
UNCOUNTED = {"/livez", "/readyz", "/health", "/metrics", "/v2/health/live", "/v2/health/ready"}


class Observe:
    """Plain ASGI, so that bodies stream through untouched."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; take the id a client sent, if it is harmless, or make one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = request_id_of(scope)
        of_console = is_console(path_of(scope))  # now: a mounted part changes the root path
        status = 500
        started_s = time.perf_counter()

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except asyncio.CancelledError:
            status = CLIENT_GONE
            raise
        finally:
            if not of_console:  # many files a page, which say nothing of how the service serves
                self._count(scope, request_id, status, time.perf_counter() - started_s)

    def _count(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        # The path's template, never the path: labels must stay few.
        route = getattr(scope.get("route"), "path", "unmatched")
        if route in UNCOUNTED:
            return
        # A method that no route has is the client's invention, and may be any word.
        method = "any" if route == "unmatched" or status == 405 else scope["method"]
        self._telemetry.answered(route, method, status, seconds)
        line = {
            "request_id": request_id,
            "method": scope["method"],
            "path": without_secrets(scope["path"]),  # where a key may stand by mistake
            "status": status,
            "ms": round(1e3 * seconds, 2),
        }
        log.info(json.dumps(line))


def request_id_of(scope: Scope) -> str:
    """Return the id a client sent, if it is harmless, or a new one."""
    sent = Headers(scope=scope).get(REQUEST_ID, "")
    harmless = _ACCEPTABLE.fullmatch(sent) and without_secrets(sent) == sent
    return sent if harmless else new_id()


def allow_body(scope: Scope, max_bytes: int) -> None:
    """Let the body of this request have so many bytes; to be called before it is read."""
    if LIMIT in scope:
        scope[LIMIT].max_bytes = max_bytes


@dataclass(slots=True)
class _Limit:
    """Of one request; an object, for routing hands on copies of the scope."""

    max_bytes: int


class LimitBody:
    """Refuses a body over the limit as it is read, so that the answer is a problem like any other.

    Starlette's own limit answers in plain text, outside of ``Observe``. FastAPI reads JSON before
    it asks for the role; a route of images allows more (``allow_body``) once the role is known.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; reading more than the limit, or announcing it, is a 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = announced_bytes(scope)
        received = 0
        limit = scope[LIMIT] = _Limit(self._max_bytes)

        async def limited() -> Message:
            nonlocal received
            if announced <= limit.max_bytes:
                message = await receive()
                received += len(message.get("body", b""))
                if received <= limit.max_bytes:
                    return message
            raise HTTPException(413, f"the body has more than {limit.max_bytes} bytes")

        await self._app(scope, limited, send)


def announced_bytes(scope: Scope) -> int:
    """Return the bytes that a request says its body has; 0 if it does not say."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0
