"""Too much at once, a backbone that fails, bodies over the limits, changes that meet."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_helpers import Pixels, calibrated, encode, problem, result, running, send, strict, upload
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from detector.embedder import Embedder

MAX_BODY_BYTES, MAX_IMAGES, QUEUE_IMAGES = 400_000, 3, 3


@pytest.fixture(scope="module")
def pngs(texture: list[Pixels]) -> list[bytes]:
    return [encode(pixels) for pixels in texture[:40]]


@pytest.fixture(scope="module")
def directory(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> Path:
    """A data directory with a calibrated detector."""
    directory = tmp_path_factory.mktemp("trouble")
    with running(directory, embedder) as client:
        calibrated(client, "gravel", pngs)
    return directory


@pytest.fixture(scope="module")
def client(directory: Path, embedder: Embedder) -> Iterator[TestClient]:
    """An app with little room, that embeds one image at a time."""
    knobs = {
        "max_batch": 1,
        "queue_images": QUEUE_IMAGES,
        "max_request_images": MAX_IMAGES,
        "max_body_bytes": MAX_BODY_BYTES,
    }
    with running(directory, embedder, **knobs) as client:
        yield client


class Gate:
    """Holds the backbone up until it is opened."""

    def __init__(self) -> None:
        self.is_open, self.is_reached = threading.Event(), threading.Event()

    def before(self, embed: Callable[[list[Pixels]], Any]) -> Callable[[list[Pixels]], Any]:
        def held_up(images: list[Pixels]) -> Any:
            self.is_reached.set()
            assert self.is_open.wait(30)
            return embed(images)

        return held_up


@pytest.fixture
def gate(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(embedder, "embed", gate.before(embedder.embed))
    yield gate
    gate.is_open.set()


def registry(client: TestClient) -> CollectorRegistry:
    return client.app.state.service.telemetry.registry  # type: ignore[attr-defined,no-any-return]


def value(client: TestClient, series: str, **labels: str) -> float:
    return registry(client).get_sample_value(series, labels) or 0.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_overload_is_refused_whole_and_nothing_taken_is_lost(
    client: TestClient, gate: Gate, pngs: list[bytes]
) -> None:
    """Contract: 503 and Retry-After while the queue is full; those before it get their scores."""
    refused = value(client, "gatewatch_images_rejected_total", reason="overload")
    with ThreadPoolExecutor(QUEUE_IMAGES + 1) as pool:
        taken = [pool.submit(send, client, "gravel", pngs[0])]
        assert gate.is_reached.wait(30)  # one is with the backbone, the others wait
        taken += [pool.submit(send, client, "gravel", png) for png in pngs[1 : QUEUE_IMAGES + 1]]
        wait_until(lambda: value(client, "gatewatch_queue_images") == QUEUE_IMAGES)
        found = problem(send(client, "gravel", pngs[0]), 503, "overloaded")
        assert "later" in found["detail"]
        problem(upload(client, "gravel", "score", pngs[:2]), 503, "overloaded")
        now = value(client, "gatewatch_images_rejected_total", reason="overload")
        assert now - refused == 3
        assert client.get("/readyz").status_code == 200
        gate.is_open.set()
        answers = [strict(future.result(30))["results"] for future in taken]
    assert [len(results) for results in answers] == [1] * (QUEUE_IMAGES + 1)
    for (only,), png in zip(answers, pngs, strict=False):
        assert only["score"] == pytest.approx(result(client, "gravel", png)["score"], rel=1e-6)
    assert value(client, "gatewatch_queue_images") == 0


def test_a_form_that_does_not_fit_now_is_refused_whole(
    client: TestClient, gate: Gate, pngs: list[bytes]
) -> None:
    """Contract: no part of it is scored; it fits as soon as there is room."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, client, "gravel", pngs[0])
        assert gate.is_reached.wait(30)
        second = pool.submit(send, client, "gravel", pngs[1])
        wait_until(lambda: value(client, "gatewatch_queue_images") == 1)
        problem(upload(client, "gravel", "score", pngs[:3]), 503, "overloaded")
        gate.is_open.set()
        assert (first.result(30).status_code, second.result(30).status_code) == (200, 200)
    results = strict(upload(client, "gravel", "score", pngs[:3]))["results"]
    assert [item["verdict"] for item in results] == ["normal"] * 3


def test_a_fit_longer_than_the_queue_waits_for_room(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: fitting is never refused for load."""
    answer = strict(upload(client, "gravel", "fit", pngs[:3], mode="extend"))
    assert (answer["fitted"], answer["rejected"]) == (3, [])


def fails_on_white(embedder: Embedder) -> Callable[[list[Pixels]], Any]:
    real = embedder.embed

    def embed(images: list[Pixels]) -> Any:
        if any(np.min(image) == 255 for image in images):
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return real(images)

    return embed


@pytest.mark.parametrize("max_batch", [1, 8])
def test_an_image_the_backbone_fails_on_fails_alone(
    directory: Path,
    embedder: Embedder,
    pngs: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    max_batch: int,
) -> None:
    """Contract: a 500 in its place, nothing of the cause in the answer; the service goes on."""
    white = encode(np.full((64, 64, 3), 255, np.uint8))
    with running(directory, embedder, max_batch=max_batch) as client:
        expected = [result(client, "gravel", png)["score"] for png in pngs[:2]]
        monkeypatch.setattr(embedder, "embed", fails_on_white(embedder))
        raw = problem(send(client, "gravel", white), 500, "inference")
        response = upload(client, "gravel", "score", [pngs[0], white, pngs[1], white])
        assert response.status_code == 200
        results = strict(response)["results"]
        assert [item["verdict"] for item in results].count("invalid") == 2
        for item in (results[1], results[3]):
            assert item["problem"]["type"] == raw["type"]
            assert item["problem"]["status"] == 500
        assert "CUDA" not in raw["detail"] + response.text
        scores = [results[0]["score"], results[2]["score"]]
        assert scores == pytest.approx(expected, rel=1e-4)
        left_out = strict(upload(client, "gravel", "fit", [*pngs[:4], white]))["rejected"]
        assert [item["name"] for item in left_out] == ["4.png"]
        assert client.get("/readyz").status_code == 200
        assert result(client, "gravel", pngs[0])["score"] > 0


def test_a_body_over_the_limit_is_413(client: TestClient) -> None:
    """Contract: announced or streamed, on every route that reads one; a problem like any other."""
    large = b"x" * (MAX_BODY_BYTES + 1)

    def streamed() -> Iterator[bytes]:
        for start in range(0, len(large), 65536):
            yield large[start : start + 65536]

    for body in (large, streamed()):
        headers = {"content-type": "image/png"}
        response = client.post("/v1/detectors/gravel/score", content=body, headers=headers)
        assert str(MAX_BODY_BYTES) in problem(response, 413, "about:blank")["detail"]
    for verb in ("score", "fit", "calibrate"):
        problem(upload(client, "gravel", verb, [large]), 413, "about:blank")
    json = {"content-type": "application/json"}
    for method, path in (("POST", ""), ("PUT", "/gravel/threshold")):
        response = client.request(method, f"/v1/detectors{path}", content=large, headers=json)
        problem(response, 413, "about:blank")
    problem(send(client, "gravel", large[:-1]), 422, "undecodable-image")


@pytest.mark.parametrize("count", [MAX_IMAGES + 1, MAX_IMAGES + 2])
@pytest.mark.parametrize("verb", ["score", "fit", "calibrate"])
def test_a_form_of_too_many_images_is_413(
    client: TestClient, pngs: list[bytes], verb: str, count: int
) -> None:
    """Contract: one more than allowed, or many more, read alike; the limit is named."""
    found = problem(upload(client, "gravel", verb, pngs[:count]), 413, "too-many-images")
    assert str(MAX_IMAGES) in found["detail"]


def test_two_changes_that_meet_do_not_overwrite_each_other(
    directory: Path,
    client: TestClient,
    embedder: Embedder,
    gate: Gate,
    pngs: list[bytes],
) -> None:
    """Contract: the later one is a 409, and the earlier stays, though of another process."""
    gate.is_open.set()
    with running(directory, embedder) as other, ThreadPoolExecutor(1) as pool:
        gate.is_open.clear()
        gate.is_reached.clear()
        fit = pool.submit(upload, client, "gravel", "fit", pngs[:2])
        assert gate.is_reached.wait(30)
        threshold = {"method": "manual", "value": 123.5}
        assert other.put("/v1/detectors/gravel/threshold", json=threshold).status_code == 200
        gate.is_open.set()
        problem(fit.result(30), 409, "conflict")
        for either in (client, other):
            assert strict(either.get("/v1/detectors/gravel/threshold"))["value"] == 123.5
