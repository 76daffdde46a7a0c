"""Refusals before the application is asked: in turn, none within another, of whoever is slow."""

import asyncio
import re
import socket
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import connection_helpers
import pytest
import uvicorn
from connection_helpers import GET, POST, Served, answer_of, on_server, until
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app import connections, serving
from app.admit import Admit, Doorkeeper
from app.errors import OverloadedError
from app.scoring.admission import Admission, Ticket
from app.settings import Settings
from app.telemetry import Telemetry
from app.unread_bodies import SMALL_BYTES

TURNED_AWAY = POST % (b"turned-away", b"Content-Length: 0")
MANY = 3000
"""More than Python calls may be nested."""


async def answers(raw: socket.socket, count: int) -> list[bytes]:
    """Return the status of so many answers on a connection."""
    loop, got = asyncio.get_running_loop(), b""
    async with asyncio.timeout(50):
        while got.count(b"\r\n\r\nx") < count:
            piece = await loop.sock_recv(raw, 2**16)
            assert piece, got[-1000:]
            got += piece
    return [each.split()[0] for each in got.split(b"HTTP/1.1")[1:]]


async def on_and_on(raw: socket.socket) -> None:
    """Ask and never read."""
    while True:
        await asyncio.get_running_loop().sock_sendall(raw, TURNED_AWAY * 100)


def statuses(sent: bytes, count: int) -> list[bytes]:
    found: list[bytes] = []

    async def test(server: Served) -> None:
        async with server.asked(sent) as raw:
            found.extend(await answers(raw, count))

    on_server(test)
    return found


def test_a_connection_goes_on_behind_a_refusal() -> None:
    """Contract: what comes in one piece is answered in order, whoever answers it."""
    asked = [TURNED_AWAY, GET % b"here", TURNED_AWAY, TURNED_AWAY, GET % b"soon", TURNED_AWAY]
    assert statuses(b"".join(asked), 6) == [b"503", b"200", b"503", b"503", b"200", b"503"]


@pytest.mark.parametrize("first", [b"", GET % b"soon"], ids=["first", "behind a slow one"])
def test_many_in_a_row_are_refused_one_after_another(first: bytes) -> None:
    """Contract: however many a client sends before it reads."""
    count = MANY + bool(first)
    found = statuses(first + TURNED_AWAY * MANY, count)
    assert found == [b"200"] * bool(first) + [b"503"] * MANY


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What comes to the application."""
    paths: list[str] = []
    usual = connection_helpers.application

    async def recording(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await usual(scope, receive, send)

    monkeypatch.setattr(connection_helpers, "application", recording)
    return paths


def test_who_takes_no_answers_is_waited_for(seen: list[str]) -> None:
    """Contract: the application waits for it, so what is held is bounded, and it is cut."""

    async def test(server: Served) -> None:
        async with server.asked() as raw:
            with pytest.raises(ConnectionError):
                await on_and_on(raw)
        await until(lambda: server.connections == 0, "it is cut")

    on_server(test)
    assert set(seen) == {"/turned-away"}


ENDS = {
    "asked": POST % (b"turned-away", b"Connection: close\r\nContent-Length: 0"),
    "old": b"POST /turned-away HTTP/1.0\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc",
    "chunked": POST % (b"turned-away", b"Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n",
    "expecting": POST % (b"turned-away", b"Content-Length: 3\r\nExpect: 100-continue") + b"abc",
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_refusal_that_ends_the_connection_ends_it(kind: str, seen: list[str]) -> None:
    """Contract: though the client stays; what it sent behind it is as if unsent."""

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        async with server.asked(ENDS[kind] + GET % b"here") as raw:
            assert b"503" in (await answer_of(raw))[0]
            async with asyncio.timeout(50):
                assert await loop.sock_recv(raw, 1) == b""
                await until(lambda: server.connections == 0, "it is closed")

    began_s = time.monotonic()
    on_server(test)
    assert time.monotonic() - began_s < connections.LINGER_S
    assert not seen


def test_a_whole_body_leaves_nothing_to_linger_for() -> None:
    """Contract: what is kept after a refusal, and then closed for being idle, is closed at once."""

    async def test(server: Served) -> None:
        async with server.asked(POST % (b"turned-away", b"Content-Length: 3") + b"abc") as raw:
            assert b"503" in (await answer_of(raw))[0]
            began_s = time.monotonic()
            await until(lambda: server.connections == 0, "it is closed")
            assert time.monotonic() - began_s < connections.LINGER_S

    on_server(test, keep_alive_s=1)


def test_a_door_that_fails_leaves_it_to_the_application(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: where such errors are told and logged, not as a bad request."""

    def broken(scope: Scope) -> None:
        raise RuntimeError("of the test")

    served = partial(connections.protocol, refusal=broken)
    monkeypatch.setattr(connections, "protocol", lambda seconds, _: served(seconds))
    assert statuses(GET % b"here", 1) == [b"200"]
    assert "of the test" in caplog.text


@dataclass
class Counted:
    """A door that was full at first, and who asked to be let in."""

    telemetry: Telemetry = field(default_factory=Telemetry)
    asked: int = 0

    def enter(self, size: int, timeout_s: float) -> Ticket:
        self.asked += 1
        if self.asked == 1:
            raise OverloadedError("of the test", 7)
        door = Admission(self.telemetry, images=4, total_bytes=100, seconds=1.0, enough=2)
        return door.enter(size, timeout_s)


def test_the_service_s_own_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: told when to come again, under its id; counted once; asked once by who comes in."""
    counted, size = Counted(), 2 * SMALL_BYTES
    door = Doorkeeper(counted, {re.compile("^/read$"): "/{what}"}, 100, counted.telemetry)  # type: ignore[arg-type]
    usual = connections.protocol
    monkeypatch.setattr(connections, "protocol", lambda seconds, _: usual(seconds, door.refusal))
    application = Admit(connection_helpers.application, door)
    monkeypatch.setattr(connection_helpers, "application", application)
    head = POST % (b"read", b"X-Request-ID: part-17\r\nContent-Length: %d" % size)
    got = bytearray()

    async def test(server: Served) -> None:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(50), server.asked(head) as raw:
            while piece := await loop.sock_recv(raw, 2**16):
                got.extend(piece)
        async with server.asked(POST % (b"read", b"Content-Length: 3") + b"abc") as raw:
            assert b"200" in (await answer_of(raw))[0]

    on_server(test)
    told, _, body = bytes(got).lower().partition(b"\r\n\r\n")
    assert told.startswith(b"http/1.1 503")
    for line in (b"retry-after: 7", b"x-request-id: part-17", b"connection: close"):
        assert line in told.split(b"\r\n")
    assert b'"request_id":"part-17"' in body
    labels = {"route": "/{what}", "method": "POST", "status": "503"}
    assert counted.telemetry.registry.get_sample_value("gatewatch_requests_total", labels) == 1
    assert counted.asked == 2


def test_the_server_asks_the_door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Contract: of the application it serves."""
    asked: list[Any] = []

    def begun(config: uvicorn.Config, *_: object) -> None:
        asked.append(config.http)
        raise SystemExit

    monkeypatch.setattr(serving, "Server", begun)
    monkeypatch.setattr(serving, "suit_threads", lambda: None)
    app = SimpleNamespace(
        state=SimpleNamespace(doorkeeper=SimpleNamespace(refusal=len), drain=None)
    )
    with pytest.raises(SystemExit):
        serving.serve(app, Settings(data_dir=tmp_path, port=0))  # type: ignore[arg-type]
    assert asked[0].refusal is len


def test_what_has_to_wait_is_no_refusal() -> None:
    """Contract: an answer that would stop half-way is an error, which ends the connection."""

    async def waits(*_: object) -> None:
        await asyncio.sleep(0)

    with pytest.raises(AssertionError, match="at once"):
        connections._run(waits())


def test_the_usual_answer_waits_for_nothing() -> None:
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    connections._run(Response(b"x")({"type": "http"}, None, send))  # type: ignore[arg-type]
    assert len(sent) == 2
