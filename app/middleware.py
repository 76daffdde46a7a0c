"""Around every request: an id, a log line, a count and a duration; a limit on its body; a door."""

import asyncio
import json
import logging
import math
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import problems
from app.access.credentials import without_secrets
from app.console.pages import is_console
from app.deadlines import TIMEOUT
from app.errors import OverloadedError
from app.paths import path_of
from app.scoring.admission import Admission, Ticket
from app.telemetry import Telemetry

log = logging.getLogger("gatewatch.access")

REQUEST_ID = "x-request-id"
LIMIT, TICKET = "gatewatch.body_limit", "gatewatch.ticket"
_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")
MOST_DIGITS = 10
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
        request_id = scope["request_id"] = _request_id(scope)
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


def _request_id(scope: Scope) -> str:
    """Return the id a client sent, if it is harmless, or a new one."""
    sent = Headers(scope=scope).get(REQUEST_ID, "")
    harmless = _ACCEPTABLE.fullmatch(sent) and without_secrets(sent) == sent
    return sent if harmless else uuid.uuid4().hex


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
        announced = _announced(scope)
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


def _announced(scope: Scope) -> int:
    """Return the bytes that a request says its body has; 0 if it does not say."""
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0


class Admit:
    """Lets requests to score in or refuses them, before anything else is done for them.

    Around all others, with no line in the log: refusals come by the hundreds a second, and what
    they cost is what the service has left to score with. Who is let in and turned away further in,
    for want of a key, has held no place: a ticket holds what has come. Whose client has gone is not
    worked for any longer.

    Args:
        app: behind the door.
        admission: who decides.
        paths: of the routes that take images, and their templates.
        max_bytes: largest body of theirs.
        telemetry: counts who is refused.
    """

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        paths: Mapping[re.Pattern[str], str],
        max_bytes: int,
        telemetry: Telemetry,
    ) -> None:
        self._app = app
        self._admission = admission
        self._paths = paths
        self._max_bytes = max_bytes
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a ticket in ``scope``, or answer when to come again."""
        route = self._route(scope)
        if route is None:
            await self._app(scope, receive, send)
            return
        try:
            ticket = self._admission.enter(self._size(scope), _timeout_s(scope))
        except OverloadedError as error:
            self._telemetry.answered(route, "POST", HTTPStatus.SERVICE_UNAVAILABLE)
            scope["request_id"] = _request_id(scope)
            await problems.answer(Request(scope), error)(scope, receive, send)
            return
        scope[TICKET] = ticket
        try:
            await self._attended(ticket, scope, receive, send)
        finally:
            ticket.leave()

    async def _attended(self, ticket: Ticket, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for as long as the client is there; what is answered makes room at once."""
        me = asyncio.current_task()
        assert me is not None
        is_gone = False
        watching: asyncio.Task[None] | None = None

        async def until_gone() -> None:
            nonlocal is_gone
            while (await receive())["type"] != "http.disconnect":
                pass
            is_gone = True
            me.cancel()

        async def held() -> Message:
            nonlocal watching
            message = await receive()
            ticket.hold(len(message.get("body", b"")))
            is_whole = message["type"] == "http.request" and not message.get("more_body", False)
            if is_whole and watching is None:  # from now on nothing else can come
                watching = asyncio.ensure_future(until_gone())
            return message

        async def answered(message: Message) -> None:
            if message["type"] == "http.response.start":
                ticket.leave(scored=message["status"] == HTTPStatus.OK)
            await send(message)

        try:
            await self._app(scope, held, answered)
        except asyncio.CancelledError:
            if not is_gone:
                raise
            me.uncancel()
        finally:
            if watching is not None:
                watching.cancel()

    def _size(self, scope: Scope) -> int:
        """Return what a request announces; what is over the limit is refused as it is read."""
        announced = _announced(scope)
        return announced if announced <= self._max_bytes else 0

    def _route(self, scope: Scope) -> str | None:
        """Return the template of the route that takes this request's images, if one does."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path = path_of(scope)
        return next((t for pattern, t in self._paths.items() if pattern.match(path)), None)


def _timeout_s(scope: Scope) -> float:
    """Return how long the answer is of use; the route refuses what is no time at all."""
    sent = Headers(scope=scope).get(TIMEOUT, "")
    return 1e-3 * int(sent) if sent.isdecimal() and len(sent) < MOST_DIGITS else math.inf


def unpacked(scope: Scope, size: int) -> None:
    """Say that a request's body has unpacked to so many bytes so far; on any thread.

    Raises:
        OverloadedError: if there is no room for them.
    """
    if TICKET in scope:
        scope[TICKET].unpack(size)


def arrived(scope: Scope, images: int) -> None:
    """Say that a request's body is here, with so many images.

    Raises:
        OverloadedError: if there is no room for them.
    """
    ticket: Ticket = scope[TICKET]
    ticket.arrive(images)
