"""Connections of clients that do not read, or are refused before they have sent: real sockets."""

import asyncio
import socket

import pytest
from batching_helpers import turns
from connection_helpers import GET, POST, SECONDS, Served, answer_of, on_server, until
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app import connections
from app.unread_bodies import SMALL_BYTES

uvicorn_pause = HttpToolsProtocol.pause_writing

NEVER_READ = {"one": [GET % b"long"], "stream": [GET % b"events"], "many": [GET % b"long"] * 50}


@pytest.mark.parametrize("kind", NEVER_READ)
def test_a_client_that_never_reads_is_cut(kind: str) -> None:
    """Contract: what waits for it is dropped: an answer, a stream that goes on, many in a row."""

    async def test(server: Served) -> None:
        async with server.asked(*NEVER_READ[kind]):
            await until(lambda: len(server.made) == 1, "it is connected")
            await until(lambda: server.connections == 0, "it is cut")

    on_server(test)


def test_an_answer_left_when_the_connection_ends_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Contract: though so little of it waits here that nothing has to pause."""
    monkeypatch.setattr(connections._Limited, "pause_writing", uvicorn_pause)

    async def test(server: Served) -> None:
        async with server.asked(GET % b"long"):
            await until(lambda: len(server.made) == 1, "it is connected")
            (connection,) = server.made
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


LARGE = {
    "announced": (b"Content-Length: %d" % (2 * SMALL_BYTES), bytes(10_000)),
    "chunked": (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n"),
    "expecting": (b"Content-Length: 9\r\nExpect: 100-continue", b""),
}


REFUSED = [b"refused", b"turned-away"]
"""By the application, and before it is asked."""
refused = pytest.mark.parametrize("path", REFUSED, ids=map(bytes.decode, REFUSED))


@refused
@pytest.mark.parametrize("kind", LARGE)
def test_a_large_body_that_is_refused_ends_the_connection(kind: str, path: bytes) -> None:
    """Contract: the answer says so, comes at once, and can be read though more is sent."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        header, begun = LARGE[kind]
        async with server.asked(POST % (path, header), begun) as raw:
            head, _ = await answer_of(raw)
            assert b"503" in head
            assert b"connection: close" in head
            async with asyncio.timeout(50):
                assert await loop.sock_recv(raw, 1) == b""
        await until(lambda: server.connections == 0, "it is closed")

    on_server(test)


@refused
def test_who_sends_it_all_can_still_read_the_answer(path: bytes) -> None:
    """Contract: no reset takes the answer away from who reads it only after the last byte."""

    async def test(server: Served) -> None:
        size = 8 * SMALL_BYTES
        head = POST % (path, b"Content-Length: %d" % size)
        async with server.asked(head, *[bytes(SMALL_BYTES)] * 8) as raw:
            assert b"503" in (await answer_of(raw))[0]

    on_server(test)


async def on_and_on(raw: socket.socket) -> None:
    """Send until it cannot be done."""
    while True:
        await asyncio.get_running_loop().sock_sendall(raw, bytes(10_000))
        await asyncio.sleep(0.01)


@refused
def test_who_never_stops_sending_is_cut(monkeypatch: pytest.MonkeyPatch, path: bytes) -> None:
    """Contract: after a refusal it lingers for a while, not for as long as is sent."""
    monkeypatch.setattr(connections, "LINGER_S", 0.5)

    async def test(server: Served) -> None:
        head = POST % (path, b"Content-Length: 999999999999")
        async with server.asked(head) as raw:
            with pytest.raises(ConnectionError):
                await on_and_on(raw)
        await until(lambda: server.connections == 0, "it is closed")

    on_server(test)


@refused
def test_a_small_body_that_is_refused_leaves_the_connection(
    monkeypatch: pytest.MonkeyPatch, path: bytes
) -> None:
    """Contract: its rest is dropped, and the next request answered; unless it never comes."""
    monkeypatch.setattr(connections, "LINGER_S", 0.5)

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        head = POST % (path, b"Content-Length: 1000")
        async with server.asked(head) as raw:
            for _ in range(3):
                told, _ = await answer_of(raw)
                assert b"connection: close" not in told
                await loop.sock_sendall(raw, bytes(1000) + head)
            await answer_of(raw)
            await until(lambda: server.connections == 0, "it is closed")

    on_server(test)


@refused
def test_a_dropped_body_has_ended_its_own_wait(path: bytes) -> None:
    """Contract: once it is here, the connection is kept as any other that is idle."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        async with server.asked(POST % (path, b"Content-Length: 10")) as raw:
            assert b"503" in (await answer_of(raw))[0]
            await loop.sock_sendall(raw, bytes(10))
            await asyncio.sleep(1.5 * SECONDS)
            assert server.connections == 1
            await loop.sock_sendall(raw, GET % b"here")
            assert b"200" in (await answer_of(raw))[0]

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


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_blank_line_keeps_no_connection(pieces: int) -> None:
    """Contract: sent after an answer it begins no request, and the wait for one still ends."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        async with server.asked(GET % b"here") as raw:
            await answer_of(raw)
            began_s = loop.time()
            for _ in range(pieces):
                await loop.sock_sendall(raw, b"\r\n")
                await asyncio.sleep(0.2 * SECONDS)
            await until(lambda: server.connections == 0, "it is closed")  # sooner than an idle one
            assert loop.time() - began_s > 0.9 * SECONDS

    on_server(test)


def test_a_blank_line_before_a_request_is_nothing() -> None:
    """Contract: the request behind it is answered, though that takes longer than a wait."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        async with server.asked(GET % b"here") as raw:
            await answer_of(raw)
            for sent in (b"\r\n" + GET % b"slow", b"\r\n", GET % b"slow"):
                await loop.sock_sendall(raw, sent)
                await turns()  # each is a piece of its own
                if sent != b"\r\n":
                    assert b"200" in (await answer_of(raw))[0]

    on_server(test)


@refused
def test_a_request_behind_a_dropped_body_has_its_time(path: bytes) -> None:
    """Contract: come with the body's end, it may take longer than a connection is kept idle."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        async with server.asked(POST % (path, b"Content-Length: 1000")) as raw:
            assert b"503" in (await answer_of(raw))[0]
            await loop.sock_sendall(raw, bytes(1000) + GET % b"slow")
            assert b"200" in (await answer_of(raw))[0]
            await until(lambda: server.connections == 0, "it is kept for as long as is said")

    on_server(test, keep_alive_s=1)
