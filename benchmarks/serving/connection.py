"""A client's connection: prebuilt requests, and no more of each answer than is counted.

No streams: on the cores of the service, what an answer costs its client the service has not.
"""

import asyncio
from typing import cast

PATIENCE_S = 120.0
"""How long an answer is waited for."""


class Connection:
    """Asks one thing at a time, and opens again if it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._wire: _Wire | None = None

    async def ask(self, request: bytes) -> tuple[int, bool]:
        """Return the status, and whether the answer says when to come again; (0, False): none."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                if self._wire is None or self._wire.is_over:
                    loop = asyncio.get_running_loop()
                    _, self._wire = await loop.create_connection(_Wire, "127.0.0.1", self._port)
                return await self._wire.ask(request)
        except (OSError, EOFError, TimeoutError):
            self.close()
            return 0, False

    def close(self) -> None:
        """Close it."""
        if self._wire is not None:
            self._wire.transport.abort()
        self._wire = None


class _Wire(asyncio.Protocol):
    """One opened connection, until either side ends it."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.is_over = False
        self._come = bytearray()
        self._answer: asyncio.Future[tuple[int, bool]] | None = None

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bool]]":
        """Send a request; return what will be its answer, or an EOFError."""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)  # whole: a server that refuses may not read all of it
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():  # nobody has asked
            self._end()
            return
        self._come += data
        head, end, body = self._come.partition(b"\r\n\r\n")
        head = head.lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return
        self._come.clear()
        if b"connection: close" in head:
            self._end()
        self._answer.set_result((int(head[9:12]), b"\r\nretry-after:" in head))

    def eof_received(self) -> None:
        self._end()  # what is asked next takes another connection

    def connection_lost(self, _exception: Exception | None) -> None:
        self.is_over = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(EOFError())

    def _end(self) -> None:
        self.is_over = True
        self.transport.abort()
