"""To stop in good order: no new work, an end for what is under way, an answer for everybody.

From the moment a drain begins the probes say so and new work is refused with 503. Requests under
way have ``drain_seconds``; then those that have no answer yet get a 503, too. Streams of events,
which end with their job only, end at once: their clients ask another process from where they were.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import problem_answers
from app.errors import UnavailableError
from app.health.state import Health
from app.middleware import UNCOUNTED
from app.paths import path_of

EVENTS = "text/event-stream"
AT_ONCE = -float("inf")
"""A time of the event loop that has always passed."""


@dataclass(slots=True, eq=False)
class _UnderWay:
    """A request, how to end it, and what has been sent."""

    limit: asyncio.Timeout
    answered: bool = False
    streams: bool = False


class Drain:
    """Begun once; used in the event loop."""

    def __init__(self, health: Health, seconds: float) -> None:
        self.begun = asyncio.Event()
        self._health = health
        self._seconds = seconds
        self._ends_s = 0.0
        self.under_way: set[_UnderWay] = set()

    def begin(self) -> None:
        """Take no new work from now on."""
        if self.begun.is_set():
            return
        self._ends_s = time.monotonic() + self._seconds
        self._health.draining = True
        self.begun.set()
        self.end_streams()

    @property
    def done(self) -> bool:
        """Whether nothing is under way any more; what is when time is up is ended by the call."""
        if self.begun.is_set() and time.monotonic() > self._ends_s:
            self._end(lambda _: True)
        return self.begun.is_set() and not self.under_way

    def end_streams(self) -> None:
        """End streams of events: their clients ask again from where they were."""
        self._end(lambda request: request.streams)

    def _end(self, which: Callable[[_UnderWay], bool]) -> None:
        for request in filter(which, self.under_way):
            if not request.limit.expired() and request.limit.when() is None:
                request.limit.reschedule(AT_ONCE)


class Door:
    """Lets requests in until the drain begins, and sees them out; probes pass at any time."""

    def __init__(self, app: ASGIApp, drain: Drain) -> None:
        self._app = app
        self._drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or path_of(scope) in UNCOUNTED:
            await self._app(scope, receive, send)
        elif self._drain.begun.is_set():
            await _refuse(scope, receive, send)
        else:
            await self._see_out(scope, receive, send)

    async def _see_out(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _UnderWay(asyncio.timeout(None))

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                kind = Headers(raw=message["headers"]).get("content-type", "")
                request.answered, request.streams = True, kind.startswith(EVENTS)
            await send(message)

        self._drain.under_way.add(request)
        try:
            async with request.limit:
                await self._app(scope, receive, observed)
        except TimeoutError:
            if not request.limit.expired() or (request.answered and not request.streams):
                raise
            if request.streams:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await _refuse(scope, receive, send)
        finally:
            self._drain.under_way.discard(request)


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    error = UnavailableError("the server is stopping: repeat the request, another may take it")
    answer = problem_answers.answer(Request(scope), error)
    answer.headers["Connection"] = "close"  # the next one goes elsewhere
    await answer(scope, receive, send)
