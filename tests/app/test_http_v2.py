"""The open inference protocol: what clients of KServe, Triton and MLServer send and read."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from history_helpers import Line, line, picture
from http_helpers import calibrated, create, problem, put, strict, upload
from key_helpers import bearer, recorded
from starlette.testclient import TestClient

from app import __version__
from app.access.guard import OPEN_PATHS
from app.middleware import UNCOUNTED
from app.storage.audit import By

NORMAL = [picture(seed) for seed in range(60)]
PICTURES = [picture(seed, odd) for seed, odd in ((1, 0), (2, 90), (3, 25))]
HEALTH = {"/v2/health/live", "/v2/health/ready"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """Models: with a calibration, with a line drawn by hand, without one, and some that cannot."""
    with line(tmp_path_factory.mktemp("v2"), max_request_images=4) as running:
        client = running.client
        calibrated(client, "whole", NORMAL, scorer="fusion")
        create(client, "manual")
        fit(client, "manual")
        assert put(client, "manual", method="manual", value=3).status_code == 200
        create(client, "fitted")
        fit(client, "fitted")
        create(client, "bare")
        known = running.service.catalogue.get("whole").detector
        masked = known.having(spec=replace(known.spec, name="masked", mask="request"))
        running.service.storage.versions.create(masked, By("tester", "", ""))
        calibrated(client, "stale", NORMAL)
        fit(client, "stale", mode="extend", promote="always")
        yield running


def fit(client: TestClient, name: str, **query: Any) -> None:
    assert upload(client, name, "fit", NORMAL[:30], **query).status_code == 200


def tensor(contents: list[bytes], **changes: Any) -> dict[str, Any]:
    """Return pictures as the tensor of a request."""
    data = [base64.b64encode(content).decode() for content in contents]
    shape = [len(data)]
    return {"name": "images", "shape": shape, "datatype": "BYTES", "data": data} | changes


def infer(client: TestClient, model: str, contents: list[bytes], **more: Any) -> Any:
    """Ask a model for pictures; return the response."""
    return client.post(f"/v2/models/{model}/infer", json={"inputs": [tensor(contents)], **more})


def outputs(answer: Any) -> dict[str, list[Any]]:
    """Return the outputs of an answer by name, once they are what they say they are."""
    assert answer.status_code == 200, answer.text
    found = {}
    for each in strict(answer)["outputs"]:
        kind = bool if each["name"] == "flag" else float
        assert each["datatype"] == {bool: "BOOL", float: "FP64"}[kind]
        assert each["shape"] == [len(each["data"])]
        assert all(type(value) is kind for value in each["data"])
        found[each["name"]] = each["data"]
    return found


def refused(answer: Any, status: int, kind: str) -> str:
    """Check that an answer is a problem, told also where clients of V2 look; return its words."""
    body = problem(answer, status, kind)
    assert body["error"] == body["detail"]
    return str(body["detail"])


@pytest.mark.parametrize("query", [{}, {"group": "lot 7"}])
def test_a_model_says_what_its_detector_says(models: Line, query: dict[str, Any]) -> None:
    """Law: exactly the scores, thresholds, flags and p-values of the single route."""
    alone = strict(upload(models.client, "whole", "score", PICTURES, **query))
    answer = infer(models.client, "whole", PICTURES, id="a 1", parameters=query)
    told = outputs(answer)
    fields = {"score": "score", "threshold": "threshold", "flag": "flagged", "p_value": "p_value"}
    assert list(told) == list(fields)
    for name, field in fields.items():
        assert told[name] == [result[field] for result in alone["results"]]
    assert True in told["flag"]
    assert False in told["flag"]
    body = strict(answer)
    assert (body["model_name"], body["id"]) == ("whole", "a 1")
    assert body["model_version"] == str(alone["version"])
    assert "id" not in strict(infer(models.client, "whole", PICTURES[:1]))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("whole", ["score", "threshold", "flag", "p_value"]),
        ("manual", ["score", "threshold", "flag"]),
        ("fitted", ["score"]),
    ],
)
def test_what_a_model_says_it_gives_it_gives(models: Line, name: str, known: list[str]) -> None:
    """Contract: metadata and answer name the same; another output asked for says what to do."""
    shown = strict(models.client.get(f"/v2/models/{name}"))
    assert shown["name"] == name
    assert shown["platform"] == "gatewatch"
    assert shown["versions"][0] == "1"
    assert shown["inputs"] == [{"name": "images", "datatype": "BYTES", "shape": [-1]}]
    assert [each["name"] for each in shown["outputs"]] == known
    told = outputs(infer(models.client, name, PICTURES, outputs=[]))
    assert list(told) == known
    for each in ("p_value", "flag", "threshold", "score"):
        answer = infer(models.client, name, PICTURES, outputs=[{"name": each}])
        if each in known:
            assert outputs(answer) == {each: told[each]}
        else:
            assert "calibrate it" in refused(answer, 409, "not-calibrated")


def test_a_version_is_asked_for_by_its_path(models: Line) -> None:
    """Contract: the first calibrated version of a detector that has another in service."""
    client = models.client
    versions = strict(client.get("/v2/models/stale"))["versions"]
    assert len(versions) == 4
    path = "/v2/models/stale/versions"
    assert [each["name"] for each in strict(client.get(f"{path}/2"))["outputs"]] == ["score"]
    assert len(strict(client.get(f"{path}/3"))["outputs"]) == 4
    assert strict(client.get(f"{path}/3/ready")) == {"name": "stale", "ready": True}
    answer = client.post(f"{path}/3/infer", json={"inputs": [tensor(PICTURES)]})
    single = strict(upload(client, "stale", "score", PICTURES, version=3))
    assert outputs(answer)["score"] == [result["score"] for result in single["results"]]
    assert strict(answer)["model_version"] == "3"
    for verb in ("", "/ready"):
        refused(client.get(f"{path}/9{verb}"), 404, "unknown-version")
    refused(client.get(f"{path}/latest"), 422, "invalid-request")


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("nobody", 404, "unknown-detector"),
        ("bare", 409, "not-fitted"),
        ("stale", 409, "stale-calibration"),
        ("masked", 422, "mask-mismatch"),
    ],
)
def test_a_model_that_is_not_ready_says_why(
    models: Line, name: str, status: int, kind: str
) -> None:
    """Contract: ready and infer refuse alike, in the words of the other routes."""
    ready = refused(models.client.get(f"/v2/models/{name}/ready"), status, kind)
    assert refused(infer(models.client, name, PICTURES), status, kind) == ready
    allowed = infer(models.client, "stale", PICTURES, parameters={"allow_stale": True})
    assert len(outputs(allowed)["score"]) == 3


@pytest.mark.parametrize(
    ("bad", "status", "kind"),
    [(b"no image", 422, "undecodable-image"), (b"", 422, "undecodable-image")],
)
def test_one_bad_image_refuses_all(
    models: Line, monkeypatch: pytest.MonkeyPatch, bad: bytes, status: int, kind: str
) -> None:
    """Contract: the index is named; nothing is judged, so that nothing is kept or counted."""
    judged = recorded(monkeypatch, models.service.history, "note")
    answer = infer(models.client, "whole", [PICTURES[0], bad, PICTURES[1], bad])
    assert "image 1 (" in refused(answer, status, kind)
    assert not judged
    infer(models.client, "whole", [PICTURES[0], PICTURES[1]])
    assert len(judged) == 1


WHOLE = tensor(PICTURES[:1])


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({}, "invalid-request", "body.inputs"),
        ({"inputs": []}, "invalid-request", "body.inputs"),
        ({"inputs": [WHOLE, WHOLE]}, "invalid-request", "body.inputs"),
        ({"inputs": [WHOLE | {"name": "input-0"}]}, "invalid-request", "'images'"),
        ({"inputs": [WHOLE | {"datatype": "UINT8"}]}, "invalid-request", "'BYTES'"),
        ({"inputs": [WHOLE | {"data": []}]}, "invalid-request", "data"),
        ({"inputs": [WHOLE | {"data": [1]}]}, "invalid-request", "data.0"),
        ({"inputs": [WHOLE | {"shape": ["1"]}]}, "invalid-request", "shape"),
        ({"inputs": [WHOLE], "id": 7}, "invalid-request", "body.id"),
        ({"inputs": [WHOLE], "outputs": [{"name": "map"}]}, "invalid-request", "outputs.0"),
        ({"inputs": [WHOLE | {"shape": [2]}]}, "invalid-tensor", "give shape [1]"),
        ({"inputs": [WHOLE | {"shape": [1, 2]}]}, "invalid-tensor", "give shape [1]"),
        ({"inputs": [WHOLE | {"data": ["?"]}]}, "invalid-tensor", "image 0"),
        ({"inputs": [WHOLE | {"data": ["Zmä="]}]}, "invalid-tensor", "image 0"),
        ({"inputs": [WHOLE], "parameters": {"group": "\n"}}, "invalid-group", "group"),
    ],
)
def test_requests_that_are_none(models: Line, body: Any, kind: str, words: str) -> None:
    """Contract: 422 in words that name the member."""
    answer = models.client.post("/v2/models/whole/infer", json=body)
    assert words in refused(answer, 422, kind)


def test_what_extends_the_protocol_is_ignored(models: Line) -> None:
    """Contract: members of other servers, a column of images, whole numbers as 3.0."""
    extended = tensor(PICTURES, shape=[3.0, 1], parameters={"content_type": "base64"})
    body = {"inputs": [extended], "parameters": {"binary_data_output": True, "headers": {}}}
    answer = models.client.post("/v2/models/whole/infer", json=body | {"raw": None})
    assert outputs(answer) == outputs(infer(models.client, "whole", PICTURES))


def test_binary_tensors_are_refused(models: Line) -> None:
    """Contract: 415 that says what to do, whatever the body; JSON needs no content type."""
    body = json.dumps({"inputs": [WHOLE]}).encode()
    path = "/v2/models/whole/infer"
    octets = {"content-type": "application/octet-stream"}
    for headers in ({"inference-header-content-length": str(len(body))}, octets):
        for content in (body, body + b"\x00\x01"):
            answer = models.client.post(path, content=content, headers=headers)
            assert "binary_data=False" in refused(answer, 415, "unsupported-media-type")
    assert outputs(models.client.post(path, content=body))
    json_type = {"content-type": "application/json; charset=utf-8"}
    assert outputs(models.client.post(path, content=body, headers=json_type))
    refused(models.client.post(path, content=body + b"}"), 422, "invalid-request")
    refused(models.client.post(path, content=b"\xff"), 422, "invalid-request")


def test_limits_are_those_of_images(models: Line) -> None:
    """Contract: more images than a request may have: 413; no limit of documents."""
    refused(infer(models.client, "whole", [PICTURES[0]] * 5), 413, "too-many-images")
    large = PICTURES[0] + bytes(4 * 2**20)
    assert len(outputs(infer(models.client, "whole", [large]))["score"]) == 1


def test_the_server_says_what_it_is(models: Line) -> None:
    """Contract: name, version, no extensions; it lives, and is ready."""
    shown = {"name": "gatewatch", "version": __version__, "extensions": []}
    assert strict(models.client.get("/v2")) == shown
    assert strict(models.client.get("/v2/")) == shown
    assert strict(models.client.get("/v2/health/live")) == {"live": True}
    assert strict(models.client.get("/v2/health/ready")) == {"ready": True}


def test_health_that_is_none(models: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: a service that cannot score is alive and not ready, and no model is."""
    monkeypatch.setattr(type(models.service), "ready", False)
    assert models.client.get("/v2/health/live").status_code == 200
    answer = models.client.get("/v2/health/ready")
    assert (answer.status_code, strict(answer)) == (503, {"ready": False})
    refused(models.client.get("/v2/models/whole/ready"), 503, "unavailable")


def test_probes_need_no_key_and_count_for_nothing() -> None:
    """Contract: whoever watches has no key, and is no traffic."""
    assert HEALTH <= OPEN_PATHS
    assert HEALTH <= UNCOUNTED


def test_models_need_a_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Contract: once a key was made, health answers anybody, the rest who may score."""
    with line(tmp_path_factory.mktemp("keyed")) as running:
        calibrated(running.client, "whole", NORMAL)
        made = running.client.post("/v1/keys", json={"name": "boss", "role": "admin"})
        boss = bearer(strict(made)["key"])
        camera = {"name": "camera", "role": "score"}
        made = running.client.post("/v1/keys", json=camera, headers=boss)
        camera = bearer(strict(made)["key"])
        for path in HEALTH:
            assert running.client.get(path).status_code == 200
        for path in ("/v2", "/v2/models/whole", "/v2/models/whole/ready"):
            refused(running.client.get(path), 401, "key-required")
            assert running.client.get(path, headers=camera).status_code == 200
        refused(infer(running.client, "whole", PICTURES), 401, "key-required")
