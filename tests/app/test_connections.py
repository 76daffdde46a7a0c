"""Connections of clients that do not read, or are refused before they have sent: real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.loops.auto import auto_loop_factory
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import connections
from app.unread_bodies import SMALL_BYTES, CloseUnread

SECONDS = 1.0
ANSWER_BYTES = 20_000_000
"""More than the system takes of an answer that nobody reads."""
GET = b"GET /%b HTTP/1.1\r\nHost: here\r\n\r\n"


uvicorn_pause = HttpToolsProtocol.pause_writing


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at length, as a stream, by refusing a body unread, or after reading it."""
    path, body = scope["path"], b"x"
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


@dataclass
class Served:
    """A server in this loop, and its address."""

    server: uvicorn.Server
    port: int

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
async def served() -> AsyncIterator[Served]:
    """Give a server with the service's protocol."""
    config = uvicorn.Config(
        CloseUnread(application),
        port=0,
        http=connections.protocol(SECONDS),
        log_level="critical",
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield Served(server, server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await serving


async def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for what comes in its own time."""
    async with asyncio.timeout(50):
        while not holds():
            await asyncio.sleep(0.02)
    assert holds(), what


def on_server(test: Callable[[Served], Awaitable[None]]) -> None:
    """Run a test beside a server."""

    async def whole() -> None:
        async with asyncio.timeout(60), served() as server:
            await test(server)

    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:  # the loop of the service
        runner.run(whole())


NEVER_READ = {"one": [GET % b"long"], "stream": [GET % b"events"], "many": [GET % b"long"] * 50}


@pytest.mark.parametrize("kind", NEVER_READ)
def test_a_client_that_never_reads_is_cut(kind: str) -> None:
    """Contract: what waits for it is dropped: an answer, a stream that goes on, many in a row."""

    async def test(server: Served) -> None:
        async with server.asked(*NEVER_READ[kind]):
            await until(lambda: server.connections == 1, "it is connected")
            await until(lambda: server.connections == 0, "it is cut")

    on_server(test)


def test_an_answer_left_when_the_connection_ends_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Contract: though so little of it waits here that nothing has to pause."""
    monkeypatch.setattr(connections._Limited, "pause_writing", uvicorn_pause)

    async def test(server: Served) -> None:
        async with server.asked(GET % b"long"):
            await until(lambda: server.connections == 1, "it is connected")
            (connection,) = server.server.server_state.connections
            await until(lambda: connection.transport.get_write_buffer_size() > 0, "it waits")
            connection.transport.close()
            await until(lambda: server.connections == 0, "it is cut")

    on_server(test)


@pytest.mark.parametrize("path", [b"long", b"events"])
def test_a_slow_reader_is_served(path: bytes) -> None:
    """Contract: who reads has time by the bytes; a stream lasts for as long as it is read."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        async with server.asked(GET % path) as raw:
            ends_s, got = loop.time() + 4 * SECONDS, 0
            while loop.time() < ends_s:
                got += len(await loop.sock_recv(raw, 30_000))
                await asyncio.sleep(0.02)
            assert server.connections == 1
            assert got > 50_000

    on_server(test)


def test_a_head_that_drips_is_cut() -> None:
    """Contract: it has its time once, however many pieces it comes in."""

    async def drip(raw: socket.socket) -> None:
        for _ in range(100):  # ten times what it has
            await asyncio.get_running_loop().sock_sendall(raw, b"X-A: b\r\n")
            await asyncio.sleep(0.1 * SECONDS)

    async def test(server: Served) -> None:
        async with server.asked(b"GET /here HTTP/1.1\r\n") as raw:
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                await drip(raw)

    on_server(test)


POST = b"POST /%b HTTP/1.1\r\nHost: here\r\n%b\r\n\r\n"
LARGE = {
    "announced": (b"Content-Length: %d" % (2 * SMALL_BYTES), bytes(10_000)),
    "chunked": (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n"),
    "expecting": (b"Content-Length: 9\r\nExpect: 100-continue", b""),
}


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


@pytest.mark.parametrize("kind", LARGE)
def test_a_large_body_that_is_refused_ends_the_connection(kind: str) -> None:
    """Contract: the answer says so, comes at once, and can be read though more is sent."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        header, begun = LARGE[kind]
        async with server.asked(POST % (b"refused", header), begun) as raw:
            head, _ = await answer_of(raw)
            assert b"503" in head
            assert b"connection: close" in head
            async with asyncio.timeout(50):
                assert await loop.sock_recv(raw, 1) == b""
        await until(lambda: server.connections == 0, "it is closed")

    on_server(test)


def test_who_sends_it_all_can_still_read_the_answer() -> None:
    """Contract: no reset takes the answer away from who reads it only after the last byte."""

    async def test(server: Served) -> None:
        size = 8 * SMALL_BYTES
        head = POST % (b"refused", b"Content-Length: %d" % size)
        async with server.asked(head, *[bytes(SMALL_BYTES)] * 8) as raw:
            assert b"503" in (await answer_of(raw))[0]

    on_server(test)


async def on_and_on(raw: socket.socket) -> None:
    """Send until it cannot be done."""
    while True:
        await asyncio.get_running_loop().sock_sendall(raw, bytes(10_000))
        await asyncio.sleep(0.01)


def test_who_never_stops_sending_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: after a refusal it lingers for a while, not for as long as is sent."""
    monkeypatch.setattr(connections, "LINGER_S", 0.5)

    async def test(server: Served) -> None:
        head = POST % (b"refused", b"Content-Length: 999999999999")
        async with server.asked(head) as raw:
            with pytest.raises(ConnectionError):
                await on_and_on(raw)
        await until(lambda: server.connections == 0, "it is closed")

    on_server(test)


def test_a_small_body_that_is_refused_leaves_the_connection() -> None:
    """Contract: its rest is dropped, and the next request answered; unless it never comes."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        head = POST % (b"refused", b"Content-Length: 1000")
        async with server.asked(head) as raw:
            for _ in range(3):
                told, _ = await answer_of(raw)
                assert b"connection: close" not in told
                await loop.sock_sendall(raw, bytes(1000) + head)
            await answer_of(raw)
            await until(lambda: server.connections == 0, "it is closed")

    on_server(test)


def test_what_is_read_leaves_the_connection() -> None:
    """Contract: a large body that was read to its end is followed by the next request."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        whole = POST % (b"read", b"Content-Length: %d" % (2 * SMALL_BYTES)) + bytes(2 * SMALL_BYTES)
        async with server.asked() as raw:
            for _ in range(3):
                await loop.sock_sendall(raw, whole)
                assert b"connection: close" not in (await answer_of(raw))[0]

    on_server(test)


def test_a_body_that_comes_behind_an_earlier_answer_has_its_time() -> None:
    """Contract: that the first is answered ends nothing of the second, which waits behind it."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        first = POST % (b"slow", b"Content-Length: 10") + b"abc"
        async with server.asked(GET % b"soon" + first) as raw:
            assert b"200" in (await answer_of(raw))[0]
            await loop.sock_sendall(raw, b"defghij")
            assert b"200" in (await answer_of(raw))[0]

    on_server(test)
