"""What is sent again, what is not, and when: against a real server that fails as it is told."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from client_helpers import Both, both
from flaky_server import BUSY, CUT, JOB, SCORED, Said, flaky

import gatewatch
from gatewatch import Retries
from gatewatch import operations as of
from gatewatch.calls import Answer
from gatewatch.retrying import PROBLEM

LIFE = Said(200, {"status": "ok", "reasons": []})
FAST = Retries(most=5, within_s=20, first_s=0.01, most_s=0.02)


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def clients(kind: str, url: str, **how: Any) -> Iterator[Both]:
    return both(kind, url, **({"retries": FAST} | how))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_honoured(kind: str, status: int) -> None:
    """Contract: the next try comes no sooner than the server says."""
    refused = Said(status, BUSY.body, {"Retry-After": "1"})
    with flaky(refused, SCORED) as server:
        for client in clients(kind, server.url):
            began_s = time.monotonic()
            assert client.score("n", b"image").score == 1.0
            assert time.monotonic() - began_s >= 1.0
        assert [asked.body for asked in server.asked] == [b"image", b"image"]


KILLED = Said(500, b"Internal Server Error", {"Content-Type": "text/plain; charset=utf-8"})
"""What Ray Serve's proxy says when a replica dies with a request."""
OURS = Said(500, {"title": "Internal", "detail": "a bug"}, {"Content-Type": PROBLEM})


def test_a_proxys_500_is_tried_again(kind: str) -> None:
    """Contract: of what may be repeated; a problem of the service's stands."""
    with flaky(KILLED, SCORED) as server:
        for client in clients(kind, server.url):
            assert client.score("n", b"image").score == 1.0
        assert len(server.asked) == 2
    for answer, change in ((OURS, False), (KILLED, True)):
        with flaky(answer) as server:
            for client in clients(kind, server.url):
                with pytest.raises(gatewatch.GatewatchError):
                    client.set_threshold("n", 0.1) if change else client.score("n", b"image")
            assert len(server.asked) == 1


def test_a_lost_connection_is_tried_again(kind: str) -> None:
    with flaky(Said(CUT), Said(CUT), SCORED) as server:
        for client in clients(kind, server.url):
            assert client.score("n", ("a", b"image")).score == 1.0
        assert len(server.asked) == 3
        assert all(b"image" in asked.body for asked in server.asked)


@pytest.mark.parametrize("answer", [Said(CUT), BUSY], ids=["cut", "503"])
def test_what_may_have_been_done_is_not_repeated(kind: str, answer: Said) -> None:
    """Contract: a change without an idempotency key is sent once."""
    with flaky(answer) as server:
        for client in clients(kind, server.url):
            wanted = gatewatch.ServerUnreachableError, gatewatch.OverloadedError
            with pytest.raises(wanted, match=r"may have been carried out|later"):
                client.set_threshold("n", 0.1)
        assert len(server.asked) == 1


def test_a_refusal_is_tried_again_whatever_was_asked(kind: str) -> None:
    """Contract: with 429 nothing was done."""
    with flaky(Said(429, {}, {"Retry-After": "0"}), Said(204, b"")) as server:
        for client in clients(kind, server.url):
            client.delete("n")
        assert [asked.method for asked in server.asked] == ["DELETE", "DELETE"]


def test_a_job_is_submitted_under_one_key(kind: str) -> None:
    """Law: however often it is sent, it is one job to the server."""
    with flaky(Said(CUT), BUSY, Said(202, JOB)) as server:
        for client in clients(kind, server.url):
            job = client.fit("n", [("a.png", b"image")], groups={"a.png": "g"})
            assert job.id == JOB["id"]
        keys = {asked.headers["idempotency-key"] for asked in server.asked}
        assert (len(server.asked), len(keys)) == (3, 1)


def test_a_stream_is_sent_once(kind: str, tmp_path: Path) -> None:
    """Contract: what cannot be read again cannot be sent again."""

    class Pipe:
        read = (tmp_path / "pipe").open("w+b").read
        seekable = staticmethod(lambda: False)

    with flaky(BUSY) as server:
        for client in clients(kind, server.url):
            with pytest.raises(gatewatch.OverloadedError):
                client.score("n", Pipe())
        assert len(server.asked) == 1
    Pipe.read.__self__.close()


@pytest.mark.parametrize("most", [0, 2])
def test_tries_are_bounded_in_number(kind: str, most: int) -> None:
    with flaky(BUSY) as server:
        for client in clients(kind, server.url, retries=Retries(most=most, first_s=0.01)):
            with pytest.raises(gatewatch.OverloadedError):
                client.info()
        assert len(server.asked) == most + 1


def test_tries_are_bounded_in_time(kind: str) -> None:
    """Contract: who would have to wait longer than allowed is told at once."""
    with flaky(Said(503, BUSY.body, {"Retry-After": "3600"})) as server:
        for client in clients(kind, server.url, retries=3):
            began_s = time.monotonic()
            with pytest.raises(gatewatch.OverloadedError) as caught:
                client.detectors()
            assert time.monotonic() - began_s < 600
            assert caught.value.retry_after_s == 3600


def test_nobody_there(kind: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for client in clients(kind, url):
        with pytest.raises(gatewatch.ServerUnreachableError, match="after 6 tries"):
            client.create("n")


@pytest.mark.parametrize("body", [b"<html>", {"detectors": [{}]}, {"detectors": 1}, []])
def test_somebody_else_is_there(kind: str, body: Any) -> None:
    with flaky(Said(200, body)) as server:
        for client in clients(kind, server.url):
            with pytest.raises(gatewatch.UnexpectedAnswerError):
                client.detectors()


def test_fields_of_newer_servers_are_left_out(kind: str) -> None:
    with flaky(Said(200, LIFE.body | {"mood": "fine"})) as server:
        for client in clients(kind, server.url, api_key="gw_secret"):
            assert client.alive() == gatewatch.Life(status="ok", reasons=[])
            assert "gw_secret" not in repr(client.client)
        assert server.asked[0].headers["authorization"] == "Bearer gw_secret"


def test_address_and_key_come_from_the_environment(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with flaky(LIFE) as server:
        monkeypatch.setenv("GATEWATCH_URL", server.url + "/")
        monkeypatch.setenv("GATEWATCH_API_KEY", "gw_key")
        for client in both(kind, None):  # type: ignore[arg-type]
            client.alive()
        assert server.asked[0].headers["authorization"] == "Bearer gw_key"
        assert server.asked[0].path == "/livez"
    with pytest.raises(ValueError, match="GATEWATCH_URL"):
        gatewatch.Client("localhost:8000")


def test_a_download_that_breaks_leaves_nothing(kind: str, tmp_path: Path) -> None:
    """Contract: a file has its name only once it is whole."""
    broken = Said(200, b"half", {"Content-Length": "8"})
    with flaky(broken, Said(200, b"the whole")) as server:
        for client in clients(kind, server.url):
            assert client.export("n", tmp_path / "file").read_bytes() == b"the whole"
    with flaky(broken) as server:
        for client in clients(kind, server.url):
            with pytest.raises(gatewatch.ServerUnreachableError):
                client.export("n", tmp_path / "other")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


class Clock:
    """Seconds that pass when they are told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_time_counts_from_the_first_failure() -> None:
    """Law: what took long to send is sent again; pauses without end are not drawn."""
    clock = Clock()
    tries = Retries(within_s=60, first_s=1, most_s=1).begin(of.service.info(), clock=clock)
    clock.now_s = 600.0
    for _ in range(2000):  # so many doublings would overflow
        assert tries.after_answer(Answer(503, {}, b"")) is not None
    clock.now_s = 660.5
    with pytest.raises(gatewatch.ServerUnreachableError, match="after 2001 tries"):
        tries.after_failure(OSError("gone"), sent=True)


def test_by_default_time_is_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: a server that is away for less than ``within_s`` is waited for."""
    monkeypatch.setattr("random.uniform", lambda _low, high: high / 2)
    clock = Clock()
    tries = Retries().begin(of.service.info(), clock=clock)
    while (pause_s := tries.after_answer(Answer(503, {}, b""))) is not None:
        clock.now_s += pause_s
    assert 52 < clock.now_s <= 60


def test_pauses_grow_and_differ() -> None:
    """Law: full jitter, drawn from 0 to a bound that doubles up to the longest."""
    retries = Retries(most=6, within_s=1e9, first_s=1, most_s=8)
    busy = Answer(503, {}, b"")
    drawn: list[list[float]] = []
    for _ in range(300):
        tries = retries.begin(of.service.info(), clock=lambda: 0.0)
        drawn.append([tries.after_answer(busy) or 0.0 for _ in range(6)])
        assert tries.after_answer(busy) is None
    for at, bound_s in enumerate([1, 2, 4, 8, 8, 8]):
        column = [row[at] for row in drawn]
        assert bound_s * 0.9 < max(column) <= bound_s
        assert min(column) < bound_s * 0.1
