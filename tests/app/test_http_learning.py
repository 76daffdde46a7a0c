"""Fit, extend and calibrate over HTTP."""

from collections.abc import Iterator

import numpy as np
import pytest
from http_helpers import (
    calibrated,
    create,
    encode,
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
    with running(tmp_path_factory.mktemp("learning"), embedder) as client:
        yield client


@pytest.fixture(scope="module")
def gravel(client: TestClient, pngs: list[bytes]) -> str:
    """A detector fitted to 20 images and calibrated with 20 others; only thresholds may change."""
    calibrated(client, "gravel", pngs[:40])
    return "gravel"


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
