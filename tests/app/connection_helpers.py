"""A server with the service's protocol in the loop of a test, and real sockets to it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.loops.auto import auto_loop_factory

from app import connections
from app.unread_bodies import CloseUnread, end_if_large

SECONDS = 1.0
ANSWER_BYTES = 20_000_000
"""More than the system takes of an answer that nobody reads."""
GET = b"GET /%b HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST /%b HTTP/1.1\r\nHost: here\r\n%b\r\n\r\n"


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at length, as a stream, by refusing a body unread, or after reading it."""
    path, body = scope["path"], b"x"
    if (refused := refusal(scope)) is not None:  # behind others it comes here
        await refused(scope, receive, send)
        return
    if path in {"/read", "/slow"}:
        while (await receive())["more_body"]:
            pass
    if path in {"/soon", "/slow"}:  # sooner and later than a client has
        await asyncio.sleep(0.3 if path == "/soon" else 2 * SECONDS)
    if path == "/long":
        body = bytes(ANSWER_BYTES)
    length = [] if path == "/events" else [(b"content-length", b"%d" % len(body))]
    status = 503 if path == "/refused" else 200
    await send({"type": "http.response.start", "status": status, "headers": length})
    ends_s = asyncio.get_running_loop().time() + 30
    while path == "/events" and asyncio.get_running_loop().time() < ends_s:
        await send({"type": "http.response.body", "body": bytes(10_000), "more_body": True})
        await asyncio.sleep(0.001)
    await send({"type": "http.response.body", "body": body})


def refusal(scope: Scope) -> Response | None:
    """Refuse a path, before the application sees it where that can be."""
    if scope["path"] != "/turned-away":
        return None
    answer = Response(b"x", 503)
    end_if_large(scope, answer.headers)
    return answer


@dataclass
class Served:
    """A server in this loop, and its address."""

    server: uvicorn.Server
    made: list[Any] = field(default_factory=list)
    """Connections that there ever were; one may be gone before anybody has looked."""

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    @asynccontextmanager
    async def asked(self, *sent: bytes) -> AsyncIterator[socket.socket]:
        """Give a connection on which this was sent; the system holds little for who reads."""
        loop = asyncio.get_running_loop()
        with socket.socket() as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            raw.setblocking(False)
            await loop.sock_connect(raw, ("127.0.0.1", self.port))
            for part in sent:
                await loop.sock_sendall(raw, part)
            yield raw


@asynccontextmanager
async def served(keep_alive_s: int = 65) -> AsyncIterator[Served]:
    """Give a server with the service's protocol; a connection is kept for so long."""
    made: list[Any] = []
    limited: Any = connections.protocol(SECONDS, refusal)

    class Seen(limited):  # type: ignore[misc]
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            made.append(self)

    config = uvicorn.Config(
        CloseUnread(application),
        port=0,
        http=Seen,
        log_level="critical",
        lifespan="off",
        timeout_keep_alive=keep_alive_s,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield Served(server, made)
    finally:
        server.should_exit = True
        await serving


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for what comes in its own time."""
    async with asyncio.timeout(50):
        while not holds():
            await asyncio.sleep(0.02)
    assert holds(), what


def on_server(test: Callable[[Served], Awaitable[None]], keep_alive_s: int = 65) -> None:
    """Run a test beside a server."""

    async def whole() -> None:
        async with asyncio.timeout(60), served(keep_alive_s) as server:
            await test(server)

    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # the loop of the service
        runner.run(whole())


async def answer_of(raw: socket.socket) -> tuple[bytes, bytes]:
    """Return head and body of an answer of a byte."""
    loop = asyncio.get_running_loop()
    got = b""
    async with asyncio.timeout(50):
        while not got.endswith(b"\r\n\r\nx"):
            piece = await loop.sock_recv(raw, 1000)
            assert piece, got
            got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    return head.lower(), body
