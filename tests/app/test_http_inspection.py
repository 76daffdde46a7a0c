"""One image looked at closely: its map, painted or as values, and the fitted images it is like."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from http_helpers import (
    SIDE_PX,
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
from PIL import Image
from starlette.testclient import TestClient

from detector import heatmap
from detector.embedder import Embedder

SPOT = (slice(16, 64), slice(80, 120))
"""Where the odd picture is odd: rows and columns of 128."""
MAPLESS = ("prototype", "kl")
URI = "data:image/png;base64,"


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, pngs: list[bytes]
) -> Iterator[TestClient]:
    """Detectors: the default, one that only has places, those without a map, one uncalibrated."""
    with running(tmp_path_factory.mktemp("inspection"), embedder) as client:
        for scorer in ("fusion", "regional", *MAPLESS):
            calibrated(client, scorer, pngs[:40], scorer=scorer)
        create(client, "fitted", scorer="fusion", options={"evidence": 0})
        assert upload(client, "fitted", "fit", pngs[:20]).status_code == 200
        create(client, "bare")
        yield client


@pytest.fixture(scope="module")
def odd(texture: list[Pixels]) -> Pixels:
    """A crop of the texture with a bright spot."""
    picture = texture[60].copy()
    picture[SPOT] = (250, 220, 10)
    return picture


def explain(client: TestClient, name: str, content: bytes) -> Any:
    response = send(client, name, content, verb="explain")
    assert response.status_code == 200, response.text
    return strict(response)


def drawn(client: TestClient, name: str, content: bytes) -> Pixels:
    """Return the pixels of a map's picture."""
    response = send(client, name, content, verb="map")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    picture = Image.open(io.BytesIO(response.content))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    return np.array(picture)


def picture(uri: str) -> Pixels:
    """Return the pixels of a data URI."""
    assert uri.startswith(URI)
    shown = Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(URI), validate=True)))
    assert shown.format == "PNG"
    return np.array(shown)


@pytest.mark.parametrize("name", ["fusion", "regional", *MAPLESS])
def test_an_explanation_is_the_score_and_more(client: TestClient, name: str, odd: Pixels) -> None:
    """Law: the same verdict as a score's; its contributions sum to it; a map where there is one."""
    explained, scored = explain(client, name, encode(odd)), result(client, name, encode(odd))
    shown = explained["result"]
    assert shown["score"] == pytest.approx(scored["score"], rel=1e-6)
    assert sum(shown["contributions"].values()) == pytest.approx(shown["score"], rel=1e-9)
    for key in ("index", "verdict", "flagged", "threshold", "problem"):
        assert shown[key] == scored[key]
    assert (explained["detector"], explained["version"]) == (name, 3)
    if name in MAPLESS:
        assert explained["map"] is shown["region"] is scored["region"] is None
    else:
        assert shown["region"] == pytest.approx(scored["region"], rel=1e-6)
        assert np.shape(explained["map"]) == (16, 16)


@pytest.mark.parametrize("name", ["fusion", "regional"])
def test_the_map_shows_where_it_is_odd(client: TestClient, name: str, odd: Pixels) -> None:
    """Contract: flagged; the region and the highest cell lie over the spot, above the threshold."""
    explained = explain(client, name, encode(odd))
    shown, region = explained["result"], explained["result"]["region"]
    assert shown["flagged"]
    cells = np.array(explained["map"])
    assert region["peak"] == cells.max() > shown["threshold"]
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert 16 / 8 - 1 <= row <= 64 / 8
    assert 80 / 8 - 1 <= column <= 120 / 8
    assert region["left"] <= column / 16 < region["left"] + region["width"]
    assert region["top"] <= row / 16 < region["top"] + region["height"]


def test_the_nearest_are_fitted_images(
    client: TestClient, embedder: Embedder, texture: list[Pixels]
) -> None:
    """Law: a fitted image is its own nearest, at no distance; the others follow by distance."""
    for index in (0, 7, 19):
        nearest = explain(client, "fusion", encode(texture[index]))["nearest"]
        assert len(nearest) == 3
        distances = [each["distance"] for each in nearest]
        assert distances == sorted(distances)
        assert distances[0] < 1e-3 < 0.1 < distances[1]
        own = embedder.prepare(texture[index], SIDE_PX).transpose(1, 2, 0)
        np.testing.assert_array_equal(picture(nearest[0]["thumbnail"]), own)
        assert picture(nearest[1]["thumbnail"]).shape == own.shape


def test_without_evidence_there_is_no_nearest(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: evidence 0 keeps no picture, and nothing else is lost."""
    explained = explain(client, "fitted", pngs[0])
    assert explained["nearest"] == []
    assert explained["result"]["verdict"] == "uncalibrated"
    assert explained["map"] is not None


def test_what_is_normal_is_not_painted(client: TestClient, texture: list[Pixels]) -> None:
    """Contract: far below the threshold the picture comes back as it was, of its own size."""
    calibrated(client, "high", [encode(pixels) for pixels in texture[:40]], scorer="fusion")
    assert put(client, "high", method="manual", value=1000).status_code == 200
    for pixels in (texture[50], texture[51][:100, :70]):
        np.testing.assert_array_equal(drawn(client, "high", encode(pixels)), pixels)


def test_what_is_odd_is_painted_and_framed(client: TestClient, odd: Pixels) -> None:
    """Contract: paint over the spot, much less elsewhere; a white frame around the region."""
    painted = drawn(client, "regional", encode(odd))
    paint = np.abs(painted.astype(int) - odd).sum(axis=2)
    assert paint[24:56, 88:112].mean() > 100
    assert paint[80:, :56].mean() < 0.4 * paint[24:56, 88:112].mean()
    region = explain(client, "regional", encode(odd))["result"]["region"]
    left, top = round(region["left"] * 128), round(region["top"] * 128)
    width, height = round(region["width"] * 128), round(region["height"] * 128)
    assert (painted[top, left : left + width] == 255).all()
    assert (painted[top + height - 1, left : left + width] == 255).all()
    assert (painted[top : top + height, left] == 255).all()
    assert (painted[top : top + height, left + width - 1] == 255).all()


def test_values_are_those_of_the_cells(client: TestClient, odd: Pixels) -> None:
    """Law: the file holds the map of the explanation, at the picture's size, threshold or not."""
    for name, pixels in (("fusion", odd), ("fitted", odd[:100, :70]), ("regional", odd)):
        response = send(client, name, encode(pixels), verb="map", format="npy")
        assert response.headers["content-type"] == "application/octet-stream"
        values = np.load(io.BytesIO(response.content))
        assert (values.dtype, values.shape) == (np.float32, pixels.shape[:2])
        cells = np.array(explain(client, name, encode(pixels))["map"])
        expected = heatmap.upsample(cells, *pixels.shape[:2])
        np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_the_map_is_empty_outside_the_mask(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: null in JSON, not a number in the file, and no paint."""
    mask = {"polygons": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}
    calibrated(client, "half", pngs[:40], scorer="regional", mask=mask)
    assert put(client, "half", method="manual", value=1e-6).status_code == 200
    rows = explain(client, "half", pngs[50])["map"]
    assert all(None not in row[:8] and set(row[9:]) == {None} for row in rows)
    response = send(client, "half", pngs[50], verb="map", format="npy")
    values = np.load(io.BytesIO(response.content))
    assert np.isfinite(values[:, :64]).all()
    assert np.isnan(values[:, 72:]).all()
    painted, pixels = drawn(client, "half", pngs[50]), np.array(Image.open(io.BytesIO(pngs[50])))
    np.testing.assert_array_equal(painted[:, 76:], pixels[:, 76:])
    assert (painted[8:-8, 8:56] != pixels[8:-8, 8:56]).any(axis=2).all()


@pytest.mark.parametrize("scorer", MAPLESS)
@pytest.mark.parametrize("form", ["png", "npy"])
def test_a_scorer_without_a_map_says_so(
    client: TestClient, pngs: list[bytes], scorer: str, form: str
) -> None:
    """Contract: 409, naming those that have one."""
    answer = problem(send(client, scorer, pngs[0], verb="map", format=form), 409, "no-map")
    assert "'fusion' and 'regional'" in answer["detail"]


def test_a_picture_needs_a_threshold(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: 409, saying what would do."""
    answer = problem(send(client, "fitted", pngs[0], verb="map"), 409, "not-calibrated")
    assert "format=npy" in answer["detail"]


@pytest.mark.parametrize("verb", ["explain", "map"])
def test_what_cannot_be_inspected(client: TestClient, pngs: list[bytes], verb: str) -> None:
    """Contract: two images, a broken one, none; no such detector, format; one not fitted."""
    problem(upload(client, "fusion", verb, pngs[:2]), 413, "too-many-images")
    problem(upload(client, "fusion", verb, [b"no image"]), 422, "undecodable-image")
    problem(send(client, "fusion", b"", verb=verb), 422, "undecodable-image")
    problem(send(client, "fusion", pngs[0], "a/b", verb=verb), 415, "unsupported-media-type")
    problem(send(client, "nobody", pngs[0], verb=verb), 404, "unknown-detector")
    problem(send(client, "bare", pngs[0], verb=verb), 409, "not-fitted")
    if verb == "map":
        answer = send(client, "fusion", pngs[0], verb=verb, format="gif")
        problem(answer, 422, "invalid-request")
