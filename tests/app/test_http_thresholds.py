"""Set and read a threshold over HTTP: the promise, the refusal, the next score."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from http_helpers import (
    calibrated,
    create,
    info,
    problem,
    put,
    result,
    running,
    send,
    strict,
    upload,
)
from starlette.testclient import TestClient

from detector.embedder import Embedder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[TestClient]:
    with running(tmp_path_factory.mktemp("thresholds"), embedder) as client:
        yield client


@pytest.fixture(scope="module")
def gravel(client: TestClient, pngs: list[bytes]) -> str:
    """A detector fitted to 20 images and calibrated with 20 others; only thresholds may change."""
    calibrated(client, "gravel", pngs[:40])
    return "gravel"


def test_a_conformal_threshold_is_the_promised_rank(
    client: TestClient, gravel: str, pngs: list[bytes]
) -> None:
    """Reference: the k-th smallest calibration score, k = ceil((n + 1)(1 - target)), NumPy."""
    scores = np.sort([result(client, gravel, png)["score"] for png in pngs[20:40]])
    for target, rank in ((0.05, 20), (0.1, 19), (0.25, 16), (0.5, 11)):
        answer = put(client, gravel, method="conformal", target=target)
        threshold = strict(answer)
        assert threshold["value"] == pytest.approx(scores[rank - 1], rel=1e-5)
        assert (threshold["method"], threshold["target"]) == ("conformal", target)
        assert f"{100 * target:g} %" in threshold["statement"]
        assert "20 calibration images" in threshold["statement"]
        assert threshold.pop("in_service") == threshold["version"]
        assert threshold.pop("warnings") == []
        assert strict(client.get(f"/v1/detectors/{gravel}/threshold")) == threshold
        shown = info(client, gravel)
        assert threshold["version"] == shown["version"] == shown["in_service"]
        assert shown["threshold"] == threshold


def test_a_new_threshold_is_used_by_the_next_score(
    client: TestClient, gravel: str, pngs: list[bytes]
) -> None:
    """Contract: verdict, margin and flag follow; the score and the p-value do not change."""
    first = result(client, gravel, pngs[70])
    for value, verdict in ((first["score"] - 1, "anomalous"), (first["score"] + 1, "normal")):
        threshold = strict(put(client, gravel, method="manual", value=value))
        assert (threshold["value"], threshold["method"]) == (value, "manual")
        assert threshold["target"] is None
        now = result(client, gravel, pngs[70])
        assert (now["verdict"], now["threshold"]) == (verdict, value)
        assert now["flagged"] == (verdict == "anomalous")
        assert now["margin"] == pytest.approx(now["score"] - value)
        assert now["score"] == pytest.approx(first["score"], rel=1e-6)
        assert now["p_value"] == first["p_value"]


def test_every_threshold_is_a_version_that_can_be_had_again(
    client: TestClient, gravel: str, pngs: list[bytes]
) -> None:
    """Law: an earlier version gives the verdict that it gave; rolled back, it is in service."""
    first, second = (strict(put(client, gravel, method="manual", value=v)) for v in (-1e9, 1e9))
    assert second["version"] == first["version"] + 1
    for version, verdict in ((first["version"], "anomalous"), (second["version"], "normal")):
        answer = strict(send(client, gravel, pngs[70], version=version))
        assert answer["version"] == version
        assert answer["results"][0]["verdict"] == verdict
    assert result(client, gravel, pngs[70])["verdict"] == "normal"
    rolled = strict(client.post(f"/v1/detectors/{gravel}/rollback"))
    assert rolled == info(client, gravel)
    assert rolled["in_service"] == first["version"]
    assert result(client, gravel, pngs[70])["verdict"] == "anomalous"


def test_a_threshold_by_hand_needs_no_calibration(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: a fit is enough; there is no p-value then."""
    create(client, "manual")
    upload(client, "manual", "fit", pngs[:5])
    answer = strict(put(client, "manual", method="manual", value=0.0))
    assert answer["calibration_images"] == 0
    judged = result(client, "manual", pngs[70])
    assert (judged["verdict"], judged["p_value"]) == ("anomalous", None)
    assert info(client, "manual")["state"] == "calibrated"


def test_an_impossible_promise_is_refused_with_the_number_that_would_do(
    client: TestClient, gravel: str, pngs: list[bytes]
) -> None:
    """Contract: 422; the threshold in service stays."""
    before = info(client, gravel)
    found = problem(
        put(client, gravel, method="conformal", target=0.001), 422, "insufficient-calibration"
    )
    assert "999" in found["detail"]
    answer = upload(client, gravel, "calibrate", pngs[40:58], target=0.05)
    assert "19" in problem(answer, 422, "insufficient-calibration")["detail"]
    # 19 images would do, but one of them is none
    answer = upload(client, gravel, "calibrate", [*pngs[40:58], b""], target=0.05)
    problem(answer, 422, "insufficient-calibration")
    assert info(client, gravel) == before


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "invalid-request"),
        ({"method": "magic"}, "invalid-request"),
        ({"method": "conformal"}, "invalid-spec"),
        ({"method": "conformal", "target": 0}, "invalid-request"),
        ({"method": "conformal", "target": 1}, "invalid-request"),
        ({"method": "conformal", "target": -0.1}, "invalid-request"),
        ({"method": "conformal", "target": "often"}, "invalid-request"),
        ({"method": "conformal", "target": 0.1, "value": 3}, "invalid-spec"),
        ({"method": "conformal", "target": 0.1, "limit": 3}, "invalid-request"),
        ({"method": "manual"}, "invalid-spec"),
        ({"method": "manual", "value": None}, "invalid-spec"),
        ({"method": "manual", "value": "high"}, "invalid-request"),
        ({"method": "ksigma"}, "invalid-spec"),
        ({"method": "f1"}, "missing-anomalies"),
    ],
)
def test_a_threshold_that_cannot_be_is_refused(
    client: TestClient, gravel: str, body: dict[str, Any], kind: str
) -> None:
    """Contract: 422, or 409 where anomalies are missing; the threshold in service stays."""
    before = info(client, gravel)
    status = 409 if kind == "missing-anomalies" else 422
    problem(put(client, gravel, **body), status, kind)
    assert info(client, gravel) == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_threshold_is_a_finite_number(client: TestClient, gravel: str, number: str) -> None:
    """Contract: what Python's JSON takes for a number, but JSON does not, is refused."""
    for method, field in (("manual", "value"), ("conformal", "target")):
        content = f'{{"method": "{method}", "{field}": {number}}}'
        address = f"/v1/detectors/{gravel}/threshold"
        response = client.put(
            address, content=content, headers={"content-type": "application/json"}
        )
        problem(response, 422, "invalid-request")


@pytest.mark.parametrize("value", [-1.7e308, 1.7e308, 5e-324, 0.0, -0.0])
def test_an_extreme_threshold_gives_finite_answers(
    client: TestClient, gravel: str, pngs: list[bytes], value: float
) -> None:
    """Contract: any finite number is taken, and margins stay JSON."""
    assert put(client, gravel, method="manual", value=value).status_code == 200
    assert np.isfinite(result(client, gravel, pngs[0])["margin"])
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize("target", ["0", "1", "nan", "inf", "-1", "x", ""])
def test_a_target_is_a_rate(client: TestClient, gravel: str, target: str) -> None:
    """Contract: 422 before any image is looked at."""
    problem(upload(client, gravel, "calibrate", [b"x"], target=target), 422, "invalid-request")
