"""Every scorer and every option over HTTP, from creation to a verdict; and what is no option."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from http_helpers import calibrated, create, encode, info, problem, running, strict, upload
from starlette.testclient import TestClient

from detector.embedder import Embedder
from detector.scorers import DEFAULT_SCORER, SCORERS

DEFAULTS = {
    "normalise": "none",
    "blocks": [],
    "covariance": "full",
    "aligned": True,
    "memory": 0,
    "flips": False,
    "evidence": 64,
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, embedder: Embedder) -> Iterator[TestClient]:
    with running(tmp_path_factory.mktemp("scorers"), embedder) as client:
        yield client


def scores(client: TestClient, name: str, contents: list[bytes]) -> list[dict[str, Any]]:
    response = upload(client, name, "score", contents)
    assert response.status_code == 200, response.text
    return list(strict(response)["results"])


SPECS: list[tuple[str, dict[str, Any]]] = [
    *((scorer, {}) for scorer in SCORERS),
    ("fusion", {"flips": True}),
    ("fusion", {"normalise": "l2", "aligned": False, "evidence": 0}),
    ("fusion", {"memory": 200, "blocks": ["blocks.2", "blocks.7"]}),
    ("gaussian", {"normalise": "zscore", "covariance": "diagonal"}),
    ("gaussian", {"blocks": ["blocks.3", "blocks.9"], "flips": True}),
    ("regional", {"aligned": False}),
    ("regional", {"memory": 200}),
    ("kl", {"normalise": "l2"}),
    ("prototype", {"normalise": "zscore"}),
]


@pytest.mark.parametrize("number", range(len(SPECS)), ids=lambda n: f"{SPECS[n][0]}-{SPECS[n][1]}")
def test_every_scorer_learns_and_flags(client: TestClient, number: int, pngs: list[bytes]) -> None:
    """Contract: created with its options, fitted, calibrated; the odd is flagged, most are not."""
    scorer, options = SPECS[number]
    name = f"detector-{number}"
    calibrated(client, name, pngs[:60], scorer=scorer, options=options)
    shown = info(client, name)
    assert (shown["state"], shown["scorer"]) == ("calibrated", scorer)
    assert shown["options"] == DEFAULTS | options
    assert (shown["fitted_images"], shown["calibration_images"]) == (30, 30)

    rng = np.random.default_rng(0)
    odd = [encode(noise) for noise in rng.integers(0, 256, (4, 128, 128, 3), dtype=np.uint8)]
    results = scores(client, name, [*odd, *pngs[60:80]])
    for result in results:
        parts = sum(result["contributions"].values())
        assert parts == pytest.approx(result["score"], rel=1e-9)
        assert (result["region"] is not None) == (scorer in {"fusion", "regional"})
    blocks = options.get("blocks", [])
    named = {part for part in results[0]["contributions"] if part != "regional"}
    assert not blocks or named <= set(blocks)
    assert all(result["flagged"] for result in results[:4])
    assert sum(result["flagged"] for result in results[4:]) <= 5


def test_options_change_the_scores(client: TestClient, pngs: list[bytes]) -> None:
    """Law: none of the options of a fusion is without effect but evidence."""
    changes: list[dict[str, Any]] = [
        {},
        {"flips": True},
        {"normalise": "l2"},
        {"normalise": "zscore", "covariance": "diagonal"},
        {"covariance": "diagonal"},
        {"aligned": False},
        {"memory": 100},
        {"blocks": ["blocks.2"]},
        {"evidence": 0},
    ]
    found = []
    for number, options in enumerate(changes):
        create(client, f"option-{number}", scorer="fusion", options=options)
        assert upload(client, f"option-{number}", "fit", pngs[:20]).status_code == 200
        (result,) = scores(client, f"option-{number}", pngs[50:51])
        found.append(result["score"])
    assert found.pop() == pytest.approx(found[0], rel=1e-6)
    assert len({round(score, 3) for score in found}) == len(found)


def test_two_uploads_are_one(client: TestClient, pngs: list[bytes]) -> None:
    """Law: for the default scorer, fitting in steps is fitting at once, to 1e-6."""
    for name, parts in (("once", [pngs[:30]]), ("steps", [pngs[:7], pngs[7:9], pngs[9:30]])):
        assert client.post("/v1/detectors", json={"name": name, "image_size": 64}).is_success
        for part in parts:
            response = upload(client, name, "fit", part, mode="extend")
            assert response.status_code == 200, response.text
    assert info(client, "once")["scorer"] == DEFAULT_SCORER == "fusion"
    assert info(client, "once")["fitted_images"] == info(client, "steps")["fitted_images"] == 30
    once, steps = (scores(client, name, pngs[40:50]) for name in ("once", "steps"))
    for one, other in zip(once, steps, strict=True):
        assert other["score"] == pytest.approx(one["score"], rel=1e-6)
        assert other["contributions"] == pytest.approx(one["contributions"], rel=1e-5)
    near = [
        strict(upload(client, name, "explain", pngs[40:41]))["nearest"]
        for name in ("once", "steps")
    ]
    assert [n["thumbnail"] for n in near[0]] == [n["thumbnail"] for n in near[1]]


def test_the_service_names_its_blocks_and_scorers(client: TestClient, embedder: Embedder) -> None:
    """Contract: what may be written as blocks, scorer."""
    info = strict(client.get("/v1/info"))
    assert info["blocks"] == list(embedder.channels) == [f"blocks.{n}" for n in range(16)]
    assert info["scorers"] == list(SCORERS)


BAD: list[tuple[Any, str]] = [
    (None, "invalid-request"),
    ([], "invalid-request"),
    ({"speed": "high"}, "invalid-request"),
    ({"normalise": "l1"}, "invalid-request"),
    ({"normalise": None}, "invalid-request"),
    ({"covariance": "none"}, "invalid-request"),
    ({"aligned": 0}, "invalid-request"),
    ({"flips": "yes"}, "invalid-request"),
    ({"memory": -1}, "invalid-request"),
    ({"memory": 20_001}, "invalid-request"),
    ({"memory": "5"}, "invalid-request"),
    ({"memory": 1.5}, "invalid-request"),
    ({"memory": True}, "invalid-request"),
    ({"memory": float("inf")}, "invalid-request"),
    ({"evidence": -1}, "invalid-request"),
    ({"evidence": 1001}, "invalid-request"),
    ({"blocks": "blocks.3"}, "invalid-request"),
    ({"blocks": [3]}, "invalid-request"),
    ({"blocks": ["blocks.3"] * 257}, "invalid-request"),
    ({"blocks": ["blocks.99"]}, "invalid-spec"),
    ({"blocks": [""]}, "invalid-spec"),
    ({"blocks": ["\ud800"]}, "invalid-spec"),
]


@pytest.mark.parametrize(("options", "kind"), BAD)
def test_what_is_no_option_is_refused(client: TestClient, options: Any, kind: str) -> None:
    """Contract: 422 and no detector."""
    body = json.dumps({"name": "no", "options": options})
    headers = {"content-type": "application/json"}
    problem(client.post("/v1/detectors", content=body, headers=headers), 422, kind)
    problem(client.get("/v1/detectors/no"), 404, "unknown-detector")


def test_fusion_looks_beyond_its_regions_unless_told(client: TestClient, pngs: list[bytes]) -> None:
    """Contract: image-level parts are the blocks after the regional ones, or those named."""
    shown = strict(client.get("/v1/info"))
    beyond = shown["blocks"][shown["blocks"].index(shown["regional_blocks"][-1]) + 1 :]
    for name, options, blocks in (
        ("usual", {}, beyond),
        ("told", {"blocks": ["blocks.0"]}, ["blocks.0"]),
    ):
        create(client, name, scorer="fusion", options=options)
        assert upload(client, name, "fit", pngs[:12]).status_code == 200
        (result,) = scores(client, name, [pngs[50]])
        assert list(result["contributions"]) == [*blocks, "regional"]


def test_blocks_without_regions_are_refused_at_creation(client: TestClient) -> None:
    """Contract: a regional scorer takes the blocks that are kept by region, and says which."""
    body = {"name": "never", "scorer": "regional", "options": {"blocks": ["blocks.0"]}}
    refused = problem(client.post("/v1/detectors", json=body), 422, "invalid-spec")
    assert all(
        name in refused["detail"] for name in strict(client.get("/v1/info"))["regional_blocks"]
    )
    assert client.get("/v1/detectors/never").status_code == 404


def test_a_mask_too_small_for_the_picture_is_refused_at_creation(client: TestClient) -> None:
    """Contract: what no fit could use is no detector."""
    speck = [[[0.0001, 0.0001], [0.0002, 0.0001], [0.0002, 0.0002]]]
    body = {"name": "speck", "image_size": 64, "mask": {"polygons": speck}}
    problem(client.post("/v1/detectors", json=body), 422, "invalid-mask")
    assert client.get("/v1/detectors/speck").status_code == 404
