"""Every route when all is well, and how every failure is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from http_helpers import (
    calibrated,
    create,
    encode,
    problem,
    result,
    running,
    send,
    strict,
    upload,
)
from starlette.testclient import TestClient

from detector.embedder import Embedder

BAD_NAMES = (".hidden", "-dash", "a b", "é", "a" * 64, "a%0A", "a%00", "%ED%A0%80", "a;b", "a'--")
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def pngs(texture: list[Any]) -> list[bytes]:
    return [encode(pixels) for pixels in texture[:40]]


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> Iterator[TestClient]:
    """An app with a detector in each of its three states."""
    with running(tmp_path_factory.mktemp("routes"), embedder) as client:
        create(client, "bare")
        create(client, "fitted")
        assert upload(client, "fitted", "fit", pngs[:5]).status_code == 200
        calibrated(client, "whole", pngs)
        yield client


def test_a_detector_is_created_with_defaults(client: TestClient, embedder: Embedder) -> None:
    """Contract: 201; the list and the detector's own address show the same."""
    response = client.post("/v1/detectors", json={"name": "Default.1-a_b"})
    assert response.status_code == 201
    info = strict(response)
    shown = {key: info[key] for key in ("state", "version", "scorer", "descriptor", "image_size")}
    assert shown == {
        "state": "created",
        "version": 1,
        "scorer": "fusion",
        "descriptor": "squeeze",
        "image_size": 256,
    }
    assert (info["backbone"], info["backbone_fingerprint"]) == (embedder.name, embedder.fingerprint)
    assert (info["fitted_images"], info["calibration_images"], info["threshold"]) == (0, 0, None)
    assert strict(client.get("/v1/detectors/Default.1-a_b")) == info
    assert info in strict(client.get("/v1/detectors"))["detectors"]


def test_the_list_is_sorted_and_shows_every_state(client: TestClient) -> None:
    """Contract: by name, each as under its own address."""
    listed = strict(client.get("/v1/detectors"))["detectors"]
    states = {info["name"]: info["state"] for info in listed}
    assert list(states) == sorted(states)
    assert states["bare"] == "created"
    assert states["fitted"] == "fitted"
    assert states["whole"] == "calibrated"
    assert all(strict(client.get(f"/v1/detectors/{i['name']}")) == i for i in listed)


def test_a_deleted_detector_is_gone_and_its_name_is_free(client: TestClient) -> None:
    """Contract: 204 without a body, then 404, then 201 again at version 1."""
    create(client, "short-lived")
    response = client.delete("/v1/detectors/short-lived")
    assert (response.status_code, response.content) == (204, b"")
    problem(client.get("/v1/detectors/short-lived"), 404, "unknown-detector")
    problem(client.delete("/v1/detectors/short-lived"), 404, "unknown-detector")
    create(client, "short-lived")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health"])
def test_a_running_service_is_well(client: TestClient, path: str) -> None:
    """Contract: 200, ok, and nothing against it."""
    response = client.get(path)
    said = strict(response)
    assert (response.status_code, said["status"], said["reasons"]) == (200, "ok", [])


@pytest.mark.parametrize("tail", ["", "/events"])
def test_an_unknown_job_is_404_and_a_bad_id_422(client: TestClient, tail: str) -> None:
    """Contract: an id is 32 hexadecimal digits, in lower case."""
    problem(client.get(f"/v1/jobs/{'0' * 32}{tail}"), 404, "unknown-job")
    for identity in ("1", "0" * 31 + "G", "0" * 33, "%00"):
        problem(client.get(f"/v1/jobs/{identity}{tail}"), 422, "invalid-request")
    problem(client.delete(f"/v1/jobs/{'0' * 32}"), 404, "unknown-job")


def test_a_job_that_has_ended_cannot_be_cancelled(client: TestClient) -> None:
    """Contract: 409 in words; it stays as it is."""
    job = strict(client.get("/v1/jobs", params={"detector": "fitted"}))["jobs"][0]
    assert job["state"] == "succeeded"
    found = problem(client.delete(f"/v1/jobs/{job['id']}"), 409, "job-ended")
    assert "succeeded" in found["detail"]
    shown = strict(client.get(f"/v1/jobs/{job['id']}"))
    assert shown == job | {"result": shown["result"]}


UNKNOWN: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "", {}),
    ("DELETE", "", {}),
    ("POST", "/fit", {"files": [("images", b"x")]}),
    ("POST", "/calibrate", {"files": [("images", b"x")]}),
    ("POST", "/recalibrate", {}),
    ("POST", "/forget", {"json": {"groups": ["lot 7"]}}),
    ("POST", "/score", {"files": [("images", b"x")]}),
    ("POST", "/explain", {"files": [("images", b"x")]}),
    ("POST", "/map", {"files": [("images", b"x")]}),
    ("POST", "/divergence", {"files": [("images", b"x")]}),
    ("GET", "/threshold", {}),
    ("PUT", "/threshold", {"json": {"method": "manual", "value": 1}}),
    ("POST", "/threshold/preview", {"json": {}}),
    ("GET", "/versions", {}),
    ("GET", "/versions/1", {}),
    ("DELETE", "/versions/1", {}),
    ("GET", "/versions/1/images", {}),
    ("POST", "/versions/1/promote", {}),
    ("POST", "/compare?first=1&second=1", {"files": [("images", b"x")]}),
    ("POST", "/rollback", {}),
]


@pytest.mark.parametrize(("method", "tail", "body"), UNKNOWN)
def test_an_unknown_detector_is_404(
    client: TestClient, method: str, tail: str, body: dict[str, Any]
) -> None:
    """Contract: on every route below a detector; the message names it."""
    found = problem(
        client.request(method, f"/v1/detectors/nobody{tail}", **body), 404, "unknown-detector"
    )
    assert "nobody" in found["detail"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_422_in_every_place(client: TestClient, name: str) -> None:
    """Contract: in the path of every route, and in the body."""
    for method, tail, body in UNKNOWN:
        problem(
            client.request(method, f"/v1/detectors/{name}{tail}", **body), 422, "invalid-request"
        )
    problem(client.post("/v1/detectors", json={"name": name}), 422, "invalid-request")


@pytest.mark.parametrize("name", ["", "a/b", "../../etc/passwd", "a\n", "\x00", "x\ud800"])
def test_a_name_is_no_path(client: TestClient, name: str) -> None:
    """Contract: what could leave the data directory is never a name."""
    content = '{"name": "' + name.encode("unicode_escape").decode().replace("\\x", "\\u00") + '"}'
    problem(client.post("/v1/detectors", content=content, headers=JSON), 422, "invalid-request")


SPECS: list[tuple[dict[str, Any], str]] = [
    ({"name": "whole"}, "409 detector-exists"),
    ({"name": "x", "backbone": "resnet50"}, "422 invalid-spec"),
    ({"name": "x", "scorer": "psychic"}, "422 invalid-spec"),
    ({"name": "x", "descriptor": "vibes"}, "422 invalid-spec"),
    ({"name": "x", "scorer": "\ud800"}, "422 invalid-spec"),
    ({"name": "x", "image_size": 63}, "422 invalid-request"),
    ({"name": "x", "image_size": 1025}, "422 invalid-request"),
    ({"name": "x", "image_size": 64.5}, "422 invalid-request"),
    ({"name": "x", "image_size": float("inf")}, "422 invalid-request"),
    ({"name": "x", "colour": "red"}, "422 invalid-request"),
    ({"name": ["x"]}, "422 invalid-request"),
    ({}, "422 invalid-request"),
]


@pytest.mark.parametrize(("body", "expected"), SPECS)
def test_a_detector_that_cannot_be_is_refused(
    client: TestClient, body: dict[str, Any], expected: str
) -> None:
    """Contract: duplicates 409; what no detector can be 422."""
    status, kind = expected.split()
    response = client.post("/v1/detectors", content=json.dumps(body), headers=JSON)
    problem(response, int(status), kind)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name": "x", "image_size": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_is_no_json_is_refused(client: TestClient, content: bytes) -> None:
    """Contract: never a 5xx, however deep or long."""
    problem(client.post("/v1/detectors", content=content, headers=JSON), 422, "invalid-request")


NOT_YET: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "bare/score", {"files": [("images", b"x")]}, "not-fitted"),
    ("POST", "bare/calibrate", {"files": [("images", b"x")]}, "not-fitted"),
    ("POST", "bare/recalibrate", {}, "not-fitted"),
    ("POST", "bare/forget", {"json": {"groups": ["lot 7"]}}, "not-fitted"),
    ("POST", "bare/rollback", {}, "no-previous-version"),
    ("DELETE", "bare/versions/1", {}, "in-service"),
    ("GET", "bare/threshold", {}, "not-calibrated"),
    ("PUT", "bare/threshold", {"json": {"method": "manual", "value": 1}}, "not-fitted"),
    ("PUT", "bare/threshold", {"json": {"method": "conformal", "target": 0.5}}, "not-fitted"),
    ("POST", "bare/threshold/preview", {"json": {}}, "not-calibrated"),
    ("GET", "fitted/threshold", {}, "not-calibrated"),
    ("PUT", "fitted/threshold", {"json": {"method": "conformal", "target": 0.5}}, "not-calibrated"),
]


@pytest.mark.parametrize(("method", "tail", "body", "kind"), NOT_YET)
def test_too_early_is_409(
    client: TestClient, method: str, tail: str, body: dict[str, Any], kind: str
) -> None:
    """Contract: what needs a fit or a calibration says so; the detector stays as it was."""
    before = strict(client.get("/v1/detectors"))
    problem(client.request(method, f"/v1/detectors/{tail}", **body), 409, kind)
    assert strict(client.get("/v1/detectors")) == before


def test_a_detector_of_another_backbone_is_409_until_it_is_fitted_anew(
    client: TestClient, embedder: Embedder, pngs: list[bytes]
) -> None:
    """Contract: score, calibrate and extend refuse; replace moves it to the backbone that runs.

    It serves again once it has a threshold again, or is asked for by its number.
    """
    name = "moved"
    calibrated(client, name, pngs[:40])
    before = result(client, name, pngs[0])["score"]
    fingerprint, embedder.fingerprint = embedder.fingerprint, "0" * 64
    try:
        problem(send(client, name, pngs[0]), 409, "fingerprint-mismatch")
        problem(upload(client, name, "calibrate", pngs[:20]), 409, "fingerprint-mismatch")
        problem(upload(client, name, "fit", pngs[:20], mode="extend"), 409, "fingerprint-mismatch")
        assert upload(client, name, "fit", pngs[:20]).status_code == 200
        (moved,) = strict(send(client, name, pngs[0], version=4))["results"]
        assert moved["score"] == pytest.approx(before, rel=1e-5)
        refused = problem(send(client, name, pngs[0]), 409, "fingerprint-mismatch")
        assert "calibrate" in refused["detail"]
        assert upload(client, name, "calibrate", pngs[20:40]).status_code == 200
        assert result(client, name, pngs[0])["score"] == pytest.approx(before, rel=1e-5)
    finally:
        embedder.fingerprint = fingerprint


def test_an_unknown_path_is_404_and_a_wrong_method_405(client: TestClient) -> None:
    """Contract: both are problems; Allow names every method of the address (RFC 9110, 10.2.1)."""
    problem(client.get("/nope"), 404, "about:blank")
    allowed = {
        "/v1/detectors": "GET, POST",
        "/v1/detectors/whole": "DELETE, GET",
        "/v1/detectors/whole/threshold": "GET, PUT",
        "/v1/detectors/whole/score": "POST",
        "/v1/detectors/whole/versions/1": "DELETE, GET",
        "/v1/jobs": "GET",
        f"/v1/jobs/{'0' * 32}": "DELETE, GET",
        "/metrics": "GET",
    }
    for path, methods in allowed.items():
        response = client.patch(path)
        problem(response, 405, "about:blank")
        assert response.headers["allow"] == methods
