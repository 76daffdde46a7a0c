"""Too much at once, a backbone that fails, bodies over the limits, changes that meet."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_helpers import (
    Pixels,
    calibrated,
    create,
    encode,
    problem,
    put,
    result,
    running,
    send,
    strict,
    upload,
)
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from storage_helpers import at_once

from detector.embedder import Embedder

MAX_BODY_BYTES, MAX_IMAGES, QUEUE_IMAGES = 400_000, 3, 3
MAX_UPLOAD_BYTES, MAX_JOB_IMAGES = 600_000, 5


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
        "max_upload_bytes": MAX_UPLOAD_BYTES,
        "max_job_images": MAX_JOB_IMAGES,
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
            assert self.is_open.wait(60)
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
    deadline = time.monotonic() + 60
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
        assert gate.is_reached.wait(60)  # one is with the backbone, the others wait
        taken += [pool.submit(send, client, "gravel", png) for png in pngs[1 : QUEUE_IMAGES + 1]]
        wait_until(lambda: value(client, "gatewatch_queue_images") == QUEUE_IMAGES)
        found = problem(send(client, "gravel", pngs[0]), 503, "overloaded")
        assert "later" in found["detail"]
        problem(upload(client, "gravel", "score", pngs[:2]), 503, "overloaded")
        now = value(client, "gatewatch_images_rejected_total", reason="overload")
        assert now - refused == 2  # how many are in a form is not known before it is read
        assert client.get("/readyz").status_code == 200
        gate.is_open.set()
        answers = [strict(future.result(60))["results"] for future in taken]
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
        assert gate.is_reached.wait(60)
        second = pool.submit(send, client, "gravel", pngs[1])
        wait_until(lambda: value(client, "gatewatch_queue_images") == 1)
        problem(upload(client, "gravel", "score", pngs[:3]), 503, "overloaded")
        gate.is_open.set()
        assert (first.result(60).status_code, second.result(60).status_code) == (200, 200)
    results = strict(upload(client, "gravel", "score", pngs[:3]))["results"]
    assert [item["verdict"] for item in results] == ["normal"] * 3


def test_a_fit_longer_than_the_queue_waits_for_room(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: fitting is never refused for load."""
    answer = strict(upload(client, "gravel", "fit", pngs[:MAX_JOB_IMAGES], mode="extend"))
    assert (answer["fitted"], answer["rejected"]) == (MAX_JOB_IMAGES, [])
    assert MAX_JOB_IMAGES > QUEUE_IMAGES


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
    """Contract: announced or streamed, on every route that reads one; a problem like any other.

    Images of a job, which are kept on the disk, have a limit of their own.
    """
    limits = {"score": MAX_BODY_BYTES, "fit": MAX_UPLOAD_BYTES, "calibrate": MAX_UPLOAD_BYTES}
    for verb, limit in limits.items():
        large = b"x" * (limit + 1)
        for body in (large, in_pieces(large)):
            headers = {"content-type": "image/png"}
            response = client.post(f"/v1/detectors/gravel/{verb}", content=body, headers=headers)
            assert str(limit) in problem(response, 413, "about:blank")["detail"]
        problem(upload(client, "gravel", verb, [large]), 413, "about:blank")
    json = {"content-type": "application/json"}
    large = b"x" * (MAX_BODY_BYTES + 1)
    for method, path in (
        ("POST", ""),
        ("POST", "/gravel/forget"),
        ("POST", "/gravel/threshold/preview"),
        ("PUT", "/gravel/threshold"),
    ):
        response = client.request(method, f"/v1/detectors{path}", content=large, headers=json)
        problem(response, 413, "about:blank")
    problem(send(client, "gravel", large[:-1]), 422, "undecodable-image")
    problem(send(client, "gravel", large, verb="fit"), 422, "no-images")


def in_pieces(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


@pytest.mark.parametrize("more", [1, 2])
@pytest.mark.parametrize("verb", ["score", "fit", "calibrate"])
def test_a_form_of_too_many_images_is_413(
    client: TestClient, pngs: list[bytes], verb: str, more: int
) -> None:
    """Contract: one more than allowed, or many more, read alike; the limit is named."""
    limit = MAX_IMAGES if verb == "score" else MAX_JOB_IMAGES
    before = strict(client.get("/v1/jobs"))
    found = problem(upload(client, "gravel", verb, pngs[: limit + more]), 413, "too-many-images")
    assert str(limit) in found["detail"]
    assert strict(client.get("/v1/jobs")) == before


def lineage(client: TestClient, name: str) -> dict[int, dict[str, Any]]:
    """Return all versions by their number."""
    listed = strict(client.get(f"/v1/detectors/{name}/versions"))["versions"]
    assert [each["version"] for each in listed] == list(range(1, len(listed) + 1))
    return {each["version"]: each for each in listed}


def test_a_change_during_a_fit_is_not_overwritten(
    directory: Path,
    client: TestClient,
    embedder: Embedder,
    gate: Gate,
    pngs: list[bytes],
) -> None:
    """Law: both are versions, of the same parent; the threshold set meanwhile goes on serving."""
    gate.is_open.set()
    with running(directory, embedder) as other, ThreadPoolExecutor(1) as pool:
        base = strict(other.get("/v1/detectors/gravel"))["tip"]
        gate.is_open.clear()
        gate.is_reached.clear()
        fit = pool.submit(upload, client, "gravel", "fit", pngs[:2], mode="extend")
        assert gate.is_reached.wait(60)
        threshold = {"method": "manual", "value": 123.5}
        address = "/v1/detectors/gravel/threshold"
        drawn = strict(other.put(address, json=threshold, params={"base": base}))
        gate.is_open.set()
        fitted = strict(fit.result(60))["detector"]
        assert (drawn["version"], fitted["version"]) == (base + 1, base + 2)
        for either in (client, other):
            versions = lineage(either, "gravel")
            assert versions[base + 1]["parent"] == versions[base + 2]["parent"] == base
            assert versions[base + 1]["change"] == "threshold"
            assert versions[base + 2]["change"] == "extend"
            assert versions[base + 2]["fitted_images"] == versions[base]["fitted_images"] + 2


def test_changes_of_many_at_once_are_all_there(
    directory: Path, client: TestClient, embedder: Embedder, pngs: list[bytes]
) -> None:
    """Law: of two processes and six clients, every fit adds its images to all before it."""
    with running(directory, embedder) as other:
        create(client, "busy")
        assert upload(client, "busy", "fit", pngs[:2]).status_code == 200
        jobs = [
            partial(upload, (client, other)[n % 2], "busy", "fit", [pngs[2 + n]], mode="extend")
            for n in range(6)
        ]
        lines = [
            partial(put, (client, other)[n % 2], "busy", method="manual", value=float(n))
            for n in range(6)
        ]
        answers = [strict(answer) for answer in at_once(jobs)]
        fitted = {answer["detector"]["version"]: answer["detector"] for answer in answers}
        assert sorted(fitted) == list(range(3, 9))
        assert [fitted[n]["fitted_images"] for n in range(3, 9)] == list(range(3, 9))
        versions = lineage(other, "busy")
        assert all(versions[n]["parent"] == n - 1 for n in range(3, 9))
        images = strict(client.get("/v1/detectors/busy/versions/8/images"))
        digests = {sha256(png).hexdigest() for png in pngs[:8]}
        assert {each["sha256"] for each in images["images"]} == digests

        drawn = [strict(answer) for answer in at_once(lines)]
        assert sorted(each["version"] for each in drawn) == list(range(9, 15))
        versions = lineage(client, "busy")
        for each in drawn:
            assert versions[each["version"]]["threshold"] == each["value"]
