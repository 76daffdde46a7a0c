"""Fit, extend, calibrate and set a threshold over HTTP."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from http_helpers import (
    Pixels,
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


@pytest.fixture(scope="module")
def pngs(texture: list[Pixels]) -> list[bytes]:
    return [encode(pixels) for pixels in texture]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[TestClient]:
    with running(tmp_path_factory.mktemp("learning"), embedder) as client:
        yield client


@pytest.fixture(scope="module")
def gravel(client: TestClient, pngs: list[bytes]) -> str:
    """A detector fitted to 20 images and calibrated with 20 others; only thresholds may change."""
    calibrated(client, "gravel", pngs[:40])
    return "gravel"


def info(client: TestClient, name: str) -> dict[str, Any]:
    return dict(strict(client.get(f"/v1/detectors/{name}")))


def put(client: TestClient, name: str, **body: Any) -> Any:
    return client.put(f"/v1/detectors/{name}/threshold", json=body)


def test_a_fit_says_what_it_used_and_what_it_left_out(
    client: TestClient, pngs: list[bytes]
) -> None:
    """Contract: bad images are named with their problem; the good ones are fitted."""
    create(client, "picky")
    answer = strict(upload(client, "picky", "fit", [*pngs[:3], b"", b"no image", *pngs[3:6]]))
    assert answer["fitted"] == 6
    assert [item["name"] for item in answer["rejected"]] == ["3.png", "4.png"]
    kinds = {item["problem"]["type"] for item in answer["rejected"]}
    assert kinds == {"urn:gatewatch:problem:undecodable-image"}
    assert answer["detector"] == info(client, "picky")
    shown = answer["detector"]
    assert (shown["state"], shown["fitted_images"], shown["version"]) == ("fitted", 6, 2)

    answer = strict(upload(client, "picky", "calibrate", [b"", *pngs[6:26]]))
    assert answer["calibrated"] == answer["threshold"]["calibration_images"] == 20
    assert [item["name"] for item in answer["rejected"]] == ["0.png"]
    assert answer["detector"] == info(client, "picky")
    assert answer["detector"]["threshold"] == answer["threshold"]


def test_nothing_usable_is_422_and_changes_nothing(client: TestClient, gravel: str) -> None:
    """Contract: the first reason is given; the old fit stays in service."""
    before = info(client, gravel)
    for verb in ("fit", "calibrate"):
        found = problem(upload(client, gravel, verb, [b""] * 20), 422, "no-images")
        assert "0 bytes" in found["detail"]
    assert info(client, gravel) == before


@pytest.mark.parametrize("scorer", ["prototype", "gaussian"])
def test_replace_forgets_and_extend_adds(
    client: TestClient, pngs: list[bytes], scorer: str
) -> None:
    """Law: in two parts = at once; replace = a new detector."""
    names = [f"{which}-{scorer}" for which in ("whole", "parts", "again")]
    for name in names:
        create(client, name, scorer=scorer, descriptor="squeeze")
    whole, parts, again = names
    upload(client, whole, "fit", pngs[:30])
    upload(client, parts, "fit", pngs[:10], mode="extend")  # of nothing: as a first fit
    upload(client, parts, "fit", pngs[10:30], mode="extend")
    upload(client, again, "fit", pngs[40:60])
    upload(client, again, "fit", pngs[:30], mode="replace")
    expected = result(client, whole, pngs[70])["score"]
    for name in (parts, again):
        assert info(client, name)["fitted_images"] == 30
        assert result(client, name, pngs[70])["score"] == pytest.approx(expected, rel=1e-4)
    upload(client, again, "fit", pngs[40:60])
    assert result(client, again, pngs[70])["score"] != pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("mode", ["extend", "replace"])
def test_a_fit_drops_calibration_and_threshold(
    client: TestClient, pngs: list[bytes], mode: str
) -> None:
    """Contract: they belong to the old fit; scores go on, uncalibrated."""
    name = f"stale-{mode}"
    calibrated(client, name, pngs[:40])
    assert info(client, name)["state"] == "calibrated"
    upload(client, name, "fit", pngs[40:50], mode=mode)
    shown = info(client, name)
    assert (shown["state"], shown["threshold"], shown["calibration_images"]) == ("fitted", None, 0)
    problem(client.get(f"/v1/detectors/{name}/threshold"), 409, "not-calibrated")
    problem(put(client, name, method="conformal", target=0.5), 409, "not-calibrated")
    judged = result(client, name, pngs[0])
    assert judged["verdict"] == "uncalibrated"
    assert {judged[key] for key in ("threshold", "margin", "p_value", "flagged")} == {None}


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
        assert strict(client.get(f"/v1/detectors/{gravel}/threshold")) == threshold


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
    "body",
    [
        {},
        {"method": "magic"},
        {"method": "conformal"},
        {"method": "conformal", "target": 0},
        {"method": "conformal", "target": 1},
        {"method": "conformal", "target": -0.1},
        {"method": "conformal", "target": "often"},
        {"method": "conformal", "target": 0.1, "value": 3},
        {"method": "manual"},
        {"method": "manual", "value": None},
        {"method": "manual", "value": "high"},
    ],
)
def test_a_threshold_that_cannot_be_is_422(
    client: TestClient, gravel: str, body: dict[str, Any]
) -> None:
    """Contract: the threshold in service stays."""
    before = info(client, gravel)
    problem(put(client, gravel, **body), 422, "invalid-request")
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


@pytest.mark.parametrize("scorer", ["gaussian", "prototype"])
@pytest.mark.parametrize("kind", ["one", "two", "duplicates", "constant", "black and white"])
def test_poor_images_give_finite_scores_or_422(
    client: TestClient, pngs: list[bytes], scorer: str, kind: str
) -> None:
    """Contract: fewer images than channels, or without variation: never NaN, never a 5xx."""
    flat = [encode(np.full((64, 64, 3), level, np.uint8)) for level in (0, 128, 255)]
    contents = {
        "one": pngs[:1],
        "two": pngs[:2],
        "duplicates": pngs[:1] * 5,
        "constant": flat[1:2] * 5,
        "black and white": [flat[0], flat[2]],
    }[kind]
    name = f"poor-{scorer}-{kind.replace(' ', '-')}"
    create(client, name, scorer=scorer, descriptor="squeeze")
    response = upload(client, name, "fit", contents)
    is_possible = scorer == "prototype" or kind in {"two", "black and white"}
    if not is_possible:
        problem(response, 422, "degenerate-data")
        problem(send(client, name, pngs[0]), 409, "not-fitted")
        return
    assert response.status_code == 200, response.text
    for content in (*contents, *flat, pngs[70]):
        assert np.isfinite(result(client, name, content)["score"])
