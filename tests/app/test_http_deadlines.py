"""Requests that say how long an answer is of use, and a device that is lost, over HTTP."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from http_helpers import (
    Pixels,
    calibrated,
    encode,
    problem,
    running,
    send,
    strict,
    upload,
)
from starlette.testclient import TestClient

from app.scoring.batching import Batcher
from detector.embedder import Embedder
from detector.errors import DeviceLostError

HEADER = "X-Request-Timeout-Ms"
ROUTES = ("score", "explain", "map", "divergence", "compare")


@pytest.fixture(scope="module")
def pngs(texture: list[Pixels]) -> list[bytes]:
    return [encode(pixels) for pixels in texture[:40]]


@pytest.fixture(scope="module")
def directory(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> Path:
    """A data directory with a calibrated detector."""
    directory = tmp_path_factory.mktemp("deadlines")
    with running(directory, embedder) as client:
        calibrated(client, "gravel", pngs, scorer="fusion")
    return directory


@pytest.fixture
def client(directory: Path, embedder: Embedder) -> Iterator[TestClient]:
    with running(directory, embedder, max_batch=1) as client:
        yield client


def batcher(client: TestClient) -> Batcher:
    """Return the batcher of the app behind a client."""
    found = client.app.state.service.ingest.batcher  # type: ignore[attr-defined]
    assert isinstance(found, Batcher)
    return found


def ask(client: TestClient, route: str, png: bytes, timeout_ms: Any) -> Any:
    """Send an image to a route of the detector, with a deadline."""
    return client.post(
        f"/v1/detectors/gravel/{route}",
        content=png,
        params={"first": 2, "second": 3},
        headers={"content-type": "image/png", HEADER: str(timeout_ms)},
    )


@pytest.mark.parametrize("route", ROUTES)
def test_what_cannot_be_in_time_is_refused_at_once(
    client: TestClient,
    embedder: Embedder,
    pngs: list[bytes],
    route: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Contract: 503 while the device is still busy with another, and when to come again."""
    reached, is_open, real = threading.Event(), threading.Event(), embedder.embed

    def held_up(images: list[Pixels]) -> Any:
        reached.set()
        assert is_open.wait(60)
        return real(images)

    monkeypatch.setattr(embedder, "embed", held_up)
    with ThreadPoolExecutor(1) as pool:
        try:
            first = pool.submit(send, client, "gravel", pngs[0])
            assert reached.wait(60)
            batcher(client)._pace.took(1, 100.0, followed=True)
            refused = ask(client, route, pngs[1], 60_000)
            problem(refused, 503, "overloaded")
            assert refused.headers["retry-after"] == "100"
            assert not first.done()
        finally:
            is_open.set()
        assert first.result(60).status_code == 200
    assert client.get("/readyz").status_code == 200


@pytest.mark.parametrize("route", ["score", "explain", "map", "compare"])  # of one image
def test_what_is_in_time_is_answered_as_ever(
    client: TestClient, pngs: list[bytes], route: str
) -> None:
    """Contract: a deadline that is kept changes nothing."""
    answer = ask(client, route, pngs[1], 3_600_000)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("sent", ["0", "-1", "1.5", "soon", "", "3600001", "1e3"])
def test_deadlines_are_whole_milliseconds(client: TestClient, pngs: list[bytes], sent: str) -> None:
    """Contract: 422 that names the header, on any route of images; up to an hour."""
    for route in ROUTES:
        found = problem(ask(client, route, pngs[0], sent), 422, "invalid-request")
        assert HEADER in found["errors"][0]["where"]


def test_a_lost_device_is_told_to_all_and_to_the_probe(
    client: TestClient, embedder: Embedder, pngs: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: 503 for those who wait and who come after; not ready; the process is to end."""
    ended = threading.Event()
    batcher(client).on_fatal = ended.set
    assert client.get("/readyz").status_code == 200

    def lost(_images: list[Pixels]) -> Any:
        raise DeviceLostError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(embedder, "embed", lost)
    problem(upload(client, "gravel", "score", pngs[:3]), 503, "unavailable")
    assert ended.is_set()
    assert client.get("/readyz").status_code == 503
    dead = client.get("/livez")
    assert dead.status_code == 503
    assert strict(dead)["reasons"] == ["device: nothing can be embedded any more"]
    refused = send(client, "gravel", pngs[0])
    found = problem(refused, 503, "unavailable")
    assert "CUDA" not in found["detail"]
    assert refused.headers["retry-after"] == "1"
