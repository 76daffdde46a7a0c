"""How long a request's body may keep the server waiting."""

import asyncio
import selectors
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import HTTPException
from starlette.types import Message, Receive, Scope, Send

from app.slow_bodies import BYTES_PER_S, LimitWait

SECONDS = 0.3
Part = tuple[float, bytes, bool]
"""Seconds that a part takes to come, its bytes, and whether more are to come."""


class Passing(selectors.SelectSelector):
    """Lets a loop's time pass instead of waiting: what the machine takes is no part of it."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Pass the time until the next timer; there is nothing else to wait for."""
        self.now_s += timeout or 0.0
        return super().select(0)

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return a loop whose time it is."""
        made = asyncio.SelectorEventLoop(self)
        made.time = lambda: self.now_s  # type: ignore[method-assign]
        return made


def received(parts: Sequence[Part], *, lazy_s: float = 0.0, kind: str = "http") -> list[Message]:
    """Return what an application receives that takes its time between parts."""
    got: list[Message] = []

    async def reads(_scope: Scope, receive: Receive, _send: Send) -> None:
        for _ in parts:
            got.append(await receive())
            await asyncio.sleep(lazy_s)

    async def come() -> AsyncIterator[Message]:
        for seconds, body, more in parts:
            await asyncio.sleep(seconds)
            yield {"type": "http.request", "body": body, "more_body": more}

    async def test() -> None:
        coming = come()

        async def receive() -> Message:
            return await anext(coming)

        async def send(_: Message) -> None:
            raise AssertionError("nothing is sent")

        await LimitWait(reads, SECONDS)({"type": kind}, receive, send)

    passing = Passing()
    with pytest.MonkeyPatch.context() as patched, asyncio.Runner(loop_factory=passing.loop) as own:
        clock = SimpleNamespace(monotonic=lambda: passing.now_s)
        patched.setattr("app.slow_bodies.time", clock)
        own.run(test())
    return got


def test_a_body_that_stops_is_a_408() -> None:
    """Contract: the answer names the limits, and the connection is not used again."""
    with pytest.raises(HTTPException, match="too slowly") as caught:
        received([(0, b"a", True), (60, b"b", False)])
    assert caught.value.status_code == 408
    assert caught.value.headers == {"Connection": "close"}


def test_a_body_that_drips_is_a_408() -> None:
    """Contract: what little comes buys no time: the wait counts as a whole."""
    with pytest.raises(HTTPException, match="too slowly"):
        received([(SECONDS / 3, b"a", True)] * 100)


def test_a_large_body_may_take_longer() -> None:
    """Contract: every second's worth of bytes buys a second."""
    part = (SECONDS / 2, bytes(BYTES_PER_S), True)
    assert len(received([part] * 5)) == 5


def test_a_service_that_is_slow_itself_takes_no_time_from_the_client() -> None:
    """Contract: only what is waited for the client counts."""
    assert len(received([(0, b"a", True)] * 3 + [(0, b"", False)], lazy_s=SECONDS / 2)) == 4


def test_after_the_body_one_may_wait_for_the_client_to_go() -> None:
    """Contract: that is how streams learn of it; it may take as long as they do."""
    assert len(received([(0, b"a", False), (2 * SECONDS, b"", False)])) == 2


def test_what_is_no_request_has_no_limit() -> None:
    """Contract: the start and the end of the application pass."""
    assert len(received([(2 * SECONDS, b"", True)], kind="lifespan")) == 1
