"""The load generator against a tiny server that refuses every third request."""

import asyncio
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from benchmarks.serving import figures, load
from benchmarks.serving.load import Measured, Plan


class Fake:
    """An ASGI application: 200, 200, 503 in turns, after ``takes_s``; one in a row may hang up."""

    def __init__(self, takes_s: float = 0.0, statuses: tuple[int, ...] = (200, 200, 503)) -> None:
        self.takes_s, self.statuses = takes_s, itertools.cycle(statuses)
        self.asked: list[tuple[str, str, bytes]] = []
        self.at_once = self.most_at_once = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.asked.append((scope["path"], dict(scope["headers"])[b"content-type"].decode(), body))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(self.takes_s)
        self.at_once -= 1
        status = next(self.statuses)
        headers = [(b"content-length", b"2")]
        headers += [(b"Retry-After", b"1")] if status == 503 else []
        headers += [(b"connection", b"close")] if status == 404 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


@contextmanager
def served(app: Fake, **options: Any) -> Iterator[int]:
    """Serve it on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error", **options))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Two files that need not be pictures."""
    for name in ("one.jpg", "two.png"):
        (tmp_path / name).write_bytes(name.encode() * 5000)
    return [str(tmp_path / name) for name in ("one.jpg", "two.png")]


def test_a_closed_loop_asks_as_planned(pictures: list[str]) -> None:
    """Contract: whole requests, in turns, by so many clients at once; all answers are counted."""
    app = Fake(takes_s=0.01, statuses=(200,))
    with served(app) as port:
        plan = Plan(port, "/v1/x/score", pictures, 2.0, clients=4)
        measured = asyncio.run(load.run(plan))
    assert len(measured.samples) == len(app.asked) >= 8
    assert app.most_at_once == measured.connections == 4
    assert {sample.status for sample in measured.samples} == {200}
    assert all(sample.took_s > 0.008 for sample in measured.samples)
    expected = {
        ("/v1/x/score", "image/jpeg", b"one.jpg" * 5000),
        ("/v1/x/score", "image/png", b"two.png" * 5000),
    }
    assert set(app.asked) == expected


def test_an_open_loop_counts_refusals(pictures: list[str]) -> None:
    """Contract: statuses as they came, Retry-After where there was one; it asks on afterwards."""
    app = Fake()
    with served(app) as port:
        measured = asyncio.run(load.run(Plan(port, "/", pictures, 1.0, rate=120.0)))
    everything = [*measured.samples, *measured.after]
    assert len(everything) == len(app.asked)
    refused = [sample for sample in everything if sample.status == 503]
    assert len(refused) == len(app.asked) // 3
    assert all(sample.has_retry_after == (sample.status == 503) for sample in everything)
    assert 60 < len(measured.samples) < 240  # of Poisson's 120
    assert all(sample.due_s < 1.0 for sample in measured.samples)
    assert all(sample.due_s >= 1.0 - load.PROBE_PAUSE_S for sample in measured.after)


def test_an_open_loop_does_not_wait_for_answers(pictures: list[str]) -> None:
    """Law: arrivals go on while none is answered, and latency counts from when each was due."""
    app = Fake(takes_s=3.0, statuses=(200,))
    with served(app) as port:
        measured = asyncio.run(load.run(Plan(port, "/", pictures, 0.5, rate=40.0)))
    assert app.most_at_once >= len(measured.samples) > 5
    assert measured.connections in (app.most_at_once, app.most_at_once + 1)  # one that asks on
    assert all(sample.took_s > 2.99 for sample in measured.samples)


def test_closed_connections_are_opened_again(pictures: list[str]) -> None:
    """Contract: an answer that ends the connection counts; the next has a new one."""
    with served(Fake(statuses=(404,))) as port:
        measured = asyncio.run(load.run(Plan(port, "/", pictures, 1.5, clients=1)))
    assert len(measured.samples) > 1
    assert {sample.status for sample in measured.samples} == {404}


def test_nobody_there_is_no_answer(pictures: list[str]) -> None:
    """Contract: a refused connection is a sample of status 0, not an end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    measured = asyncio.run(load.run(Plan(port, "/", pictures, 1.0, clients=1)))
    assert {sample.status for sample in measured.samples} == {0}
    assert figures.summary(measured, 1.0).broken == len(measured.samples)


def test_it_runs_in_a_process_of_its_own(pictures: list[str]) -> None:
    """Contract: what comes back is what a run in this process gives."""
    app = Fake(takes_s=0.01)
    with served(app) as port:
        measured = load.generate(Plan(port, "/", pictures, 2.0, clients=2))
    assert isinstance(measured, Measured)
    assert len(measured.samples) == len(app.asked)
    assert {sample.status for sample in measured.samples} == {200, 503}
    assert 0 < measured.cpu_s < measured.wall_s
    assert measured.server_s == 0.0  # of no process


def test_it_sees_what_the_server_takes_meanwhile(pictures: list[str]) -> None:
    """Contract: of the load alone; what was taken before it is no part."""
    with served(Fake(statuses=(200,))) as port:
        before_s = time.process_time()
        assert before_s > 0.2  # of this process, which is the server
        measured = load.generate(Plan(port, "/", pictures, 2.0, clients=2, pid=os.getpid()))
        took_s = time.process_time() - before_s
    assert 0 < measured.server_s < took_s + 0.05  # it is told in ticks


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    """Contract: one that was unused for too long is no broken request."""

    async def test() -> list[int]:
        with served(Fake(statuses=(200,)), timeout_keep_alive=0) as port:
            connection = load.Connection(port)
            request = (
                b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 0\r\n\r\n"
            )
            found = []
            for _ in range(2):
                found.append((await connection.ask(request))[0])
                await asyncio.sleep(0.5)
            connection.close()
            return found

    assert asyncio.run(test()) == [200, 200]
