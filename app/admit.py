"""Lets requests that bring images in or refuses them, as soon as their headers are here.

Around all else, with no line in the log: refusals come by the hundreds a second, and what they cost
is what the service has left to score with. Our own server asks before it makes a task of a request
(``app.connections``), and anything else that serves the application by ``Admit``.
"""

import asyncio
import math
import re
from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import problem_answers
from app.deadlines import TIMEOUT
from app.errors import OverloadedError
from app.middleware import announced_bytes, request_id_of
from app.paths import path_of
from app.scoring.admission import Admission, Ticket
from app.telemetry import Telemetry
from app.unread_bodies import end_if_large

TICKET = "gatewatch.ticket"
MOST_DIGITS = 10


class Doorkeeper:
    """Who may come in.

    Args:
        admission: who decides.
        paths: of the routes that take images, and their templates.
        max_bytes: largest body of theirs.
        telemetry: counts who is refused.
    """

    def __init__(
        self,
        admission: Admission,
        paths: Mapping[re.Pattern[str], str],
        max_bytes: int,
        telemetry: Telemetry,
    ) -> None:
        self._admission = admission
        self._paths = paths
        self._max_bytes = max_bytes
        self._telemetry = telemetry

    def refusal(self, scope: Scope) -> Response | None:
        """Return what a request is told that cannot come in; who can has a ticket in ``scope``.

        Who brings no image needs none. Who has one already is not asked again.
        """
        route = None if TICKET in scope else self._route(scope)
        if route is None:
            return None
        try:
            scope[TICKET] = self._admission.enter(self._size(scope), _timeout_s(scope))
        except OverloadedError as error:
            self._telemetry.answered(route, "POST", HTTPStatus.SERVICE_UNAVAILABLE)
            scope["request_id"] = request_id_of(scope)
            answer = problem_answers.answer(Request(scope), error)
            end_if_large(scope, answer.headers)
            return answer
        return None

    def _size(self, scope: Scope) -> int:
        """Return what a request announces; what is over the limit is refused as it is read."""
        announced = announced_bytes(scope)
        return announced if announced <= self._max_bytes else 0

    def _route(self, scope: Scope) -> str | None:
        """Return the template of the route that takes this request's images, if one does."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path = path_of(scope)
        return next((t for pattern, t in self._paths.items() if pattern.match(path)), None)


class Admit:
    """Passes on whoever may come in, for as long as the client is there.

    Who is let in and turned away further in, for want of a key, has held no place: a ticket holds
    what has come. Whose client has gone is not worked for any longer.
    """

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper) -> None:
        self._app = app
        self._doorkeeper = doorkeeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with a ticket in ``scope``, or answer when to come again."""
        refusal = self._doorkeeper.refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        ticket: Ticket | None = scope.get(TICKET)
        if ticket is None:
            await self._app(scope, receive, send)
            return
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
