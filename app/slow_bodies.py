"""Clients that send as slowly as they please: how long they may keep the server waiting.

A body may take ``body_seconds`` and a second more for every ``BYTES_PER_S`` bytes that have come;
only the time counts that the service waits for it. What else of a connection may keep waiting, its
headers and its answers, the application knows nothing of: see ``app.connections``.
"""

import asyncio
import time

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BYTES_PER_S = 16_000


class LimitWait:
    """Refuses a body that comes too slowly, as it is read."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; waiting for its body too long is a 408."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        left_s, is_whole = self._seconds, False

        async def timely() -> Message:
            nonlocal left_s, is_whole
            if is_whole:  # what is waited for now is that the client goes
                return await receive()
            started_s = time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, left_s)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408,
                    f"the body came too slowly: it may take {self._seconds:g} s, and a second more "
                    f"for every {BYTES_PER_S} bytes",
                    {"Connection": "close"},
                ) from None
            left_s += len(message.get("body", b"")) / BYTES_PER_S - (time.monotonic() - started_s)
            is_whole = not message.get("more_body", False)
            return message

        await self._app(scope, timely, send)
