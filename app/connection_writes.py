"""What goes together of an answer is written together.

uvicorn writes an answer's head and its body one after the other, and uvloop gives each to the
system at once: two calls, and a client that is woken for a head alone. So what is written is held
until the answer is complete, there is much of it, or the event loop comes round.
"""

import asyncio
from collections.abc import Callable
from typing import Any

MOST_HELD_BYTES = 2**16
"""Held back of an answer, to be written together."""


class Transport:
    """A connection's transport, which closes as its protocol has it."""

    def __init__(
        self, transport: Any, loop: asyncio.AbstractEventLoop, close: Callable[[], None]
    ) -> None:
        self.real = transport
        self._loop = loop
        self._close = close
        self._closing = False
        self._held: list[bytes] = []
        self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def write(self, data: bytes) -> None:
        """Write soon."""
        if not self._held:
            self._loop.call_soon(self.flush)
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > MOST_HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        held, self._held, self._held_bytes = self._held, [], 0
        if held and not self.is_closing():  # then it is dropped: the end may have been written
            self.real.writelines(held)

    def is_closing(self) -> bool:
        """Whether it takes no more requests."""
        return self._closing or self.real.is_closing()

    def close(self) -> None:
        """Take no more requests, and close it in good order."""
        if not self.is_closing():
            self.flush()
            self._closing = True
            self._close()
