"""Masks over HTTP: set at creation, or sent with every request; what lies outside is not seen."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from http_helpers import (
    Pixels,
    calibrated,
    create,
    encode,
    info,
    problem,
    result,
    running,
    send,
    strict,
    upload,
)
from starlette.testclient import TestClient

from app.images import masks
from detector.embedder import Embedder

LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
TEXT = json.dumps([LEFT])
VERBS = ("fit", "calibrate", "score", "explain", "map", "divergence")


def left_white(level: int = 255) -> bytes:
    """Return a mask file whose left half, the polygon's, counts this much."""
    return encode(masks.from_polygons([LEFT]) // 255 * np.uint8(level))  # type: ignore[list-item]


def changed(pixels: Pixels, columns: slice) -> bytes:
    """Return the picture with noise in some of its columns."""
    noisy = pixels.copy()
    noise = np.random.default_rng(0).integers(0, 256, size=noisy[:, columns].shape)
    noisy[:, columns] = noise
    return encode(noisy)


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> Iterator[TestClient]:
    """Detectors of the default scorer: without a mask, with a fixed one, with one per request."""
    with running(tmp_path_factory.mktemp("masks"), embedder) as client:
        calibrated(client, "plain", pngs[:40], scorer="fusion")
        calibrated(client, "fixed", pngs[:40], scorer="fusion", mask={"polygons": [LEFT]})
        calibrated(client, "asking", pngs[:40], [TEXT], scorer="fusion", mask="request")
        yield client


def test_the_kind_of_mask_is_shown(client: TestClient) -> None:
    """Contract: none, fixed or request."""
    shown = {name: info(client, name)["mask"] for name in ("plain", "fixed", "asking")}
    assert shown == {"plain": "none", "fixed": "fixed", "asking": "request"}


def score(client: TestClient, name: str, content: bytes, *sent: bytes | str) -> dict[str, Any]:
    """Return the result of one image sent in a form."""
    response = upload(client, name, "score", [content], sent)
    assert response.status_code == 200, response.text
    (only,) = strict(response)["results"]
    return {key: value for key, value in only.items() if key not in {"id", "timings_ms"}}


@pytest.mark.parametrize(("name", "sent"), [("fixed", []), ("asking", [TEXT])])
def test_what_lies_outside_has_no_influence(
    client: TestClient, texture: list[Pixels], name: str, sent: list[str]
) -> None:
    """Law: noise outside changes nothing in the result, noise inside is anomalous."""
    outside, inside = slice(70, None), slice(10, 40)  # of 128; the mask ends at 64
    sound = score(client, name, encode(texture[50]), *sent)
    noisy = score(client, name, changed(texture[50], outside), *sent)
    assert noisy["score"] == pytest.approx(sound["score"], rel=1e-6)
    assert noisy["contributions"] == pytest.approx(sound["contributions"], rel=1e-5)
    assert noisy["region"]["left"] + noisy["region"]["width"] <= 0.5
    odd = score(client, name, changed(texture[50], inside), *sent)
    assert odd["flagged"]
    assert odd["score"] > 1.5 * sound["score"]
    assert score(client, "plain", changed(texture[50], outside))["flagged"]


def test_every_way_to_say_one_mask_gives_one_score(client: TestClient, pngs: list[bytes]) -> None:
    """Law: fixed or sent, polygons or image, text or file, white or grey: proportions count."""
    fixed = score(client, "fixed", pngs[50])
    for mask in (TEXT, TEXT.encode(), left_white(), left_white(100), left_white(3)):
        answer = score(client, "asking", pngs[50], mask)
        assert answer["contributions"] == pytest.approx(fixed["contributions"], rel=1e-5)
        assert answer["region"] == pytest.approx(fixed["region"], rel=1e-5)


def test_another_mask_gives_another_score(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: the mask of this request is what counts for its images."""
    lower = json.dumps([[[0, 0.5], [0.5, 0.5], [0.5, 1], [0, 1]]])
    answer = score(client, "asking", pngs[50], lower)
    assert answer["score"] != pytest.approx(score(client, "asking", pngs[50], TEXT)["score"])
    assert answer["region"]["top"] >= 0.5 - 1 / 16  # the resize blurs the mask's edge


def test_a_place_that_was_never_fitted_cannot_be_judged(
    client: TestClient, pngs: list[bytes]
) -> None:
    """Contract: fitted on the left half, a mask of the right alone is refused in words."""
    right = json.dumps([[[0.6, 0], [1, 0], [1, 1], [0.6, 1]]])
    answer = upload(client, "asking", "score", [pngs[50]], masks=[right])
    detail = problem(answer, 422, "invalid-mask")["detail"]
    assert "no place that was fitted" in detail


@pytest.mark.parametrize("verb", VERBS)
def test_a_mask_comes_exactly_when_it_is_asked_for(
    client: TestClient, pngs: list[bytes], verb: str
) -> None:
    """Contract: 422 in words, on every route that takes images; a raw body carries no mask."""
    part = pngs[:1] if verb in {"explain", "map"} else pngs[:20]
    before = strict(client.get("/v1/detectors"))
    missing = problem(upload(client, "asking", verb, part), 422, "mask-mismatch")
    assert "send a mask" in missing["detail"]
    if verb != "calibrate":  # one image is too few there, whatever else is wrong
        problem(send(client, "asking", pngs[0], verb=verb), 422, "mask-mismatch")
    for name in ("plain", "fixed"):
        surplus = problem(upload(client, name, verb, part, [TEXT]), 422, "mask-mismatch")
        assert "send no mask" in surplus["detail"]
    assert strict(client.get("/v1/detectors")) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_form_may_carry_one_mask(client: TestClient, pngs: list[bytes], verb: str) -> None:
    """Contract: every route takes it as text and as a file, refuses two, and what is no mask."""
    name = f"asking-{verb}"
    if name not in {each["name"] for each in strict(client.get("/v1/detectors"))["detectors"]}:
        calibrated(client, name, pngs[:40], [TEXT], scorer="fusion", mask="request")
    part = pngs[40:41] if verb in {"explain", "map"} else pngs[40:60]
    problem(upload(client, name, verb, part, [TEXT, TEXT]), 400, "malformed-upload")
    problem(upload(client, name, verb, part, [left_white(), TEXT]), 400, "malformed-upload")
    for bad in ("[]", b"no image", encode(np.zeros((9, 9), np.uint8)), "[" * 99_999):
        problem(upload(client, name, verb, part, [bad]), 422, "invalid-mask")
    for mask in (TEXT, left_white()):
        answer = upload(client, name, verb, part, [mask])
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("verb", ["fit", "score"])
def test_a_mask_too_small_for_the_backbone_is_refused(
    client: TestClient, pngs: list[bytes], verb: str
) -> None:
    """Contract: one white pixel of a million counts nothing at the detector's size; 422."""
    speck = np.zeros((1024, 1024), np.uint8)
    speck[96, 96] = 255  # between the detector's pixels
    answer = upload(client, "asking", verb, pngs[:9], [encode(speck)])
    problem(answer, 422, "invalid-mask")
    assert info(client, "asking")["state"] == "calibrated"
    assert result(client, "plain", pngs[0])["score"] > 0


def test_a_fixed_mask_may_be_an_image(client: TestClient, pngs: list[bytes]) -> None:
    """Law: the same as the polygons that it shows."""
    image = base64.b64encode(left_white()).decode()
    calibrated(client, "pictured", pngs[:40], scorer="fusion", mask={"image": image})
    assert info(client, "pictured")["mask"] == "fixed"
    ours, theirs = score(client, "pictured", pngs[50]), score(client, "fixed", pngs[50])
    assert ours["contributions"] == pytest.approx(theirs["contributions"], rel=1e-5)
    assert ours["threshold"] == pytest.approx(theirs["threshold"], rel=1e-5)


BAD: list[tuple[Any, str]] = [
    ("some", "invalid-request"),
    (None, "invalid-request"),
    ({}, "invalid-request"),
    ({"polygons": [LEFT], "image": ""}, "invalid-request"),
    ({"polygons": []}, "invalid-request"),
    ({"polygons": [[[0, 0], [1, 1]]]}, "invalid-request"),
    ({"polygons": [[[0, 0], [1, 0], [1, 1.5]]]}, "invalid-request"),
    ({"polygons": [[[0, 0], [1, 0], [float("nan"), 1]]]}, "invalid-request"),
    ({"polygons": [[["0", "0"], ["1", "0"], ["1", "1"]]]}, "invalid-request"),
    ({"polygons": [[[1, 1], [1, 1], [1, 1]]]}, "invalid-mask"),
    ({"image": "abc"}, "invalid-request"),
    ({"image": "?"}, "invalid-mask"),
    ({"image": ""}, "invalid-mask"),
    ({"image": base64.b64encode(b"no image").decode()}, "invalid-mask"),
    ({"image": base64.b64encode(encode(np.zeros((9, 9), np.uint8))).decode()}, "invalid-mask"),
]


@pytest.mark.parametrize(("mask", "kind"), BAD)
def test_a_detector_of_a_bad_mask_is_not_created(client: TestClient, mask: Any, kind: str) -> None:
    """Contract: 422 and no detector."""
    body = json.dumps({"name": "no", "mask": mask})
    headers = {"content-type": "application/json"}
    problem(client.post("/v1/detectors", content=body, headers=headers), 422, kind)
    problem(client.get("/v1/detectors/no"), 404, "unknown-detector")


def test_a_mask_is_kept_through_a_restart(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> None:
    """Law: restart = same state, masks and options included, to the bit."""
    directory = tmp_path_factory.mktemp("restart")
    options = {"flips": True, "memory": 50, "evidence": 3, "blocks": ["blocks.2", "blocks.7"]}
    spec = {"scorer": "fusion", "options": options}
    with running(directory, embedder) as client:
        calibrated(client, "fixed", pngs[:40], mask={"polygons": [LEFT]}, **spec)
        create(client, "asking", mask="request", **spec)
        detectors = strict(client.get("/v1/detectors"))
        before = score(client, "fixed", pngs[50])
    assert options.items() <= detectors["detectors"][1]["options"].items()
    with running(directory, embedder) as client:
        assert strict(client.get("/v1/detectors")) == detectors
        assert score(client, "fixed", pngs[50]) == before
        assert upload(client, "asking", "fit", pngs[:9], [TEXT]).status_code == 200
