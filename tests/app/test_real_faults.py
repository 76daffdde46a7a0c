"""A real server process that is stopped, starved by slow clients, or loses its device."""

import select
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from faulty_server import BLACK, DIM, WHITE
from http_helpers import SIDE_PX, encode, followed
from real_server import Server

from app.learning.collecting import CHUNK_IMAGES

SCRIPT = Path(__file__).with_name("faulty_server.py")
FITTED = CHUNK_IMAGES + 36
DRIPPING = 30


def picture(seed: int, low: int, high: int) -> bytes:
    """Return a picture of noise between two levels."""
    rng = np.random.default_rng(seed)
    return encode(rng.integers(low, high + 1, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8), "PNG")


NORMAL = [picture(seed, 90, 160) for seed in range(8)]
SLOW = [picture(seed, 0, BLACK) for seed in range(40)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server whose backbone obeys its pictures, with a fitted detector."""
    settings = {"GATEWATCH_BODY_SECONDS": "2", "GATEWATCH_MAX_BATCH": "1"}
    server = Server(tmp_path / "data", settings, [sys.executable, str(SCRIPT)])
    with server.serving():
        body = {"name": "bolts", "scorer": "prototype", "image_size": SIDE_PX}
        assert server.client.post("/v1/detectors", json=body).status_code == 201
        assert server.upload("bolts", "fit", NORMAL)["fitted"] == len(NORMAL)
        yield server


def ask(server: Server, contents: list[bytes], verb: str = "score", name: str = "bolts") -> Any:
    """Send a form on a connection of its own; return the response."""
    files = [("images", (f"{i}.png", content, "image/png")) for i, content in enumerate(contents)]
    url = f"http://127.0.0.1:{server.port}/v1/detectors/{name}/{verb}"
    return httpx.post(url, files=files, timeout=90)


def under_way(server: Server) -> int:
    """Return how many images are at the device or wait for it."""
    found = server.client.get("/metrics").text.splitlines()
    names = ("gatewatch_queue_images ", 'gatewatch_stage_calls{stage="device"}')
    return sum(int(float(line.split()[-1])) for line in found if line.startswith(names))


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def refused(answer: httpx.Response) -> bool:
    """Return whether an answer is the problem of a server that stops."""
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "urn:gatewatch:problem:unavailable"
    return answer.status_code == 503 and "retry-after" in answer.headers


def begun(
    server: Server, pool: ThreadPoolExecutor, images: int, at_least: int
) -> Future[httpx.Response]:
    """Send a request of slow images; return it once so many images wait, with all others."""
    sent = pool.submit(ask, server, SLOW[:images])
    wait_for(lambda: under_way(server) >= at_least)
    return sent


def test_it_drains_and_its_successor_goes_on(server: Server) -> None:
    """Law: requests under way are answered, a fit goes on in the next process as if nothing was."""
    dim = [picture(seed, 0, DIM) for seed in range(100, 100 + FITTED)]
    for name in ("whole", "interrupted"):
        body = {"name": name, "scorer": "prototype", "image_size": SIDE_PX}
        assert server.client.post("/v1/detectors", json=body).status_code == 201
    assert followed(server.client, ask(server, dim, "fit", "whole")).status_code == 200

    job = ask(server, dim, "fit", "interrupted")
    address = job.headers["location"]
    wait_for(lambda: server.client.get(address).json()["images_done"] >= CHUNK_IMAGES + 4)
    with ThreadPoolExecutor(5) as pool:
        events = pool.submit(httpx.get, f"{server.client.base_url}{address}/events", timeout=60)
        # Of the fit no more than three are there, of each request all at once. The second one has
        # more, so that both are seen though most of the first has been scored by then.
        sent = [begun(server, pool, *wanted) for wanted in ((8, 4), (12, 12))]
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not server.is_ready())
        said = server.client.get("/readyz").json()
        assert "stopping: no new work is taken" in said["reasons"]
        assert server.client.get("/livez").status_code == 200
        late = ask(server, NORMAL)
        assert refused(late)
        assert late.headers["connection"] == "close"
        assert "event: end" not in events.result(60).text
        assert [len(each.result(60).json()["results"]) for each in sent] == [8, 12]
    assert server.process.wait(60) == -signal.SIGTERM
    server.client.close()

    server.start()
    assert followed(server.client, job).json()["fitted"] == FITTED
    probes = NORMAL[:3]
    assert [server.score("interrupted", png)["score"] for png in probes] == [
        server.score("whole", png)["score"] for png in probes
    ]
    assert "Traceback" not in server.log.read_text()


def test_what_takes_too_long_is_told_so(server: Server) -> None:
    """Contract: 503 after the drain's time to whom it could not answer; then it ends."""
    server.settings = {**server.settings, "GATEWATCH_DRAIN_SECONDS": "1"}
    assert server.end(signal.SIGTERM) == -signal.SIGTERM
    server.start()
    with ThreadPoolExecutor(2) as pool:
        sent = begun(server, pool, 30, 1)
        server.process.send_signal(signal.SIGTERM)
        assert refused(sent.result(60))
        assert server.process.wait(60) == -signal.SIGTERM


def test_a_second_signal_ends_it_at_once(server: Server) -> None:
    """Contract: nobody waits for requests any more."""
    with ThreadPoolExecutor(2) as pool:
        sent = begun(server, pool, 40, 1)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: not server.is_ready())
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == -signal.SIGTERM
        assert isinstance(sent.exception(60), httpx.TransportError)


def test_a_lost_device_ends_the_process_after_all_were_told(server: Server) -> None:
    """Contract: those under way and in the queue get an answer; exit code 1, for a restart."""
    white = picture(0, WHITE, 255)
    with ThreadPoolExecutor(6) as pool:
        sent = [begun(server, pool, 20, 20 * before + 1) for before in range(3)]
        sent.append(pool.submit(ask, server, [white]))
        assert all(refused(each.result(60)) for each in sent)
    assert server.process.wait(60) == 1
    assert "nothing can be embedded any more" in server.log.read_text()


HEAD = b"POST /v1/detectors/bolts/score HTTP/1.1\r\nHost: localhost\r\n"
PNG = b"Content-Type: image/png\r\nContent-Length: 5000\r\n\r\n"


def said(client: socket.socket) -> bytes:
    """Return the beginning of an answer; nothing if the connection ends without one."""
    try:
        return client.recv(4096)[:13]
    except ConnectionError:  # it ended before what was sent last
        return b""


def test_slow_clients_are_shown_out_and_block_nobody(server: Server) -> None:
    """Contract: 408 for bodies, an end for headers and for connections that say nothing."""
    expected = server.score("bolts", NORMAL[0])
    starts = {"body": HEAD + PNG, "headers": HEAD, "nothing": b""}
    clients = [
        (kind, socket.create_connection(("127.0.0.1", server.port), timeout=60))
        for kind in starts
        for _ in range(DRIPPING)
    ]
    answers: dict[str, set[bytes]] = {kind: set() for kind in starts}
    try:
        for kind, client in clients:
            client.sendall(starts[kind])
        for _ in range(3):
            for kind, client in clients:
                with suppress(ConnectionError):  # where this took longer they are shown out by now
                    client.sendall(b"x" if kind != "nothing" else b"")
            assert server.score("bolts", NORMAL[0]) == expected
            time.sleep(0.3)
        for kind, client in clients:
            answers[kind].add(said(client))
    finally:
        for _, client in clients:
            client.close()
    assert answers == {"body": {b"HTTP/1.1 408 "}, "headers": {b""}, "nothing": {b""}}
    assert server.score("bolts", NORMAL[0]) == expected
    assert server.is_ready()
    assert "Traceback" not in server.log.read_text()


def test_clients_that_never_read_are_cut(server: Server) -> None:
    """Contract: answers that nobody takes hold no connection for good, and block nobody."""
    expected = server.score("bolts", NORMAL[0])
    sockets = Path(f"/proc/{server.process.pid}/fd")

    def held() -> int:
        kinds = []
        for path in sockets.iterdir():
            with suppress(FileNotFoundError):  # they come and go
                kinds.append(str(path.readlink()))
        return sum(kind.startswith("socket:") for kind in kinds)

    before = held()
    clients = [socket.socket() for _ in range(5)]
    try:
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", server.port))
            client.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        assert all(select.select([client], [], [], 60)[0] for client in clients)  # they are served
        assert server.score("bolts", NORMAL[0]) == expected
        wait_for(lambda: held() <= before)
    finally:
        for client in clients:
            client.close()
    assert server.score("bolts", NORMAL[0]) == expected


REFUSED = {
    "announced": (b"Content-Length: 99999999999", 3),
    "chunked": (b"Transfer-Encoding: chunked", 22),
}
"""How a body says what is to come, and how many megabytes of it do."""


@pytest.mark.parametrize("kind", REFUSED)
def test_a_body_that_is_too_large_is_answered_before_its_end(server: Server, kind: str) -> None:
    """Contract: 413, and an end of the connection, of which the answer tells; it can be read."""
    length, megabytes = REFUSED[kind]
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(HEAD + b"Content-Type: image/png\r\n" + length + b"\r\n\r\n")
        for _ in range(megabytes):
            client.sendall(b"100000\r\n" + bytes(2**20) + b"\r\n")
        got = b""
        while piece := client.recv(4096):
            got += piece
    head, _, body = got.lower().partition(b"\r\n\r\n")
    assert head.startswith(b"http/1.1 413 ")
    assert b"\r\nconnection: close" in head
    assert b"20000000 bytes" in body
