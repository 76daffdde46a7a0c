"""How a calibration has scored, over HTTP."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from history_helpers import NAME, Line, line, picture
from http_helpers import create, followed, problem, put, strict, upload

PATH = f"/v1/detectors/{NAME}/threshold/scores"
NORMAL, ODD = 39, 5


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    """A detector that is calibrated twice, at last with known anomalies."""
    with line(tmp_path) as running:
        create(running.client, NAME, scorer="fusion")
        assert running.verb("fit", range(40)).status_code == 200
        assert running.verb("calibrate", range(1000, 1000 + NORMAL)).status_code == 200
        files: list[Any] = [
            ("images", (f"{seed}.bmp", picture(seed))) for seed in range(2000, 2000 + NORMAL)
        ]
        files += [("anomalies", (f"{i}.bmp", picture(i, odd=30 * i))) for i in range(1, 1 + ODD)]
        address = f"/v1/detectors/{NAME}/calibrate"
        answer = followed(running.client, running.client.post(address, files=files))
        assert answer.status_code == 200, answer.text
        yield running


def scores(line: Line, **query: Any) -> dict[str, Any]:
    answer = line.client.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return dict(strict(answer))


@pytest.mark.parametrize("bins", [10, 60, 200])
def test_all_images_are_counted(bolts: Line, bins: int) -> None:
    """Reference: the scores that are stored, by NumPy; the line lies between the edges."""
    told, shown = scores(bolts, bins=bins), bolts.get("")
    assert (told["detector"], told["version"]) == (NAME, shown["in_service"])
    assert (told["normal_images"], told["anomalous_images"]) == (NORMAL, ODD)
    known = bolts.service.catalogue.get(NAME).detector.require_calibrated()
    edges = np.array(told["edges"])
    assert len(edges) == bins + 1
    for field, stored in (("normal", known.scores), ("anomalous", known.anomalies)):
        assert told[field] == np.histogram(stored, edges)[0].tolist()
        assert sum(told[field]) == told[f"{field}_images"] == len(stored)
    assert told["threshold"] == shown["threshold"]["value"]
    assert edges[0] <= told["threshold"] <= edges[-1]


def test_sixty_bins_unless_told(bolts: Line) -> None:
    """Contract: the default is described and true."""
    assert scores(bolts) == scores(bolts, bins=60)


@pytest.mark.parametrize("bins", ["9", "201", "-1", "60.5", "", "many"])
def test_bins_are_bounded(bolts: Line, bins: str) -> None:
    """Contract: a clear refusal."""
    problem(bolts.client.get(PATH, params={"bins": bins}), 422, "invalid-request")


def test_a_line_beyond_all_scores_is_covered(bolts: Line) -> None:
    """Contract: a threshold set by hand may be any number; the answer stays finite."""
    for value in (-1e308, 1.7e308):
        assert put(bolts.client, NAME, method="manual", value=value).status_code == 200
        told = scores(bolts)
        assert told["threshold"] == value
        assert told["edges"][0] <= value <= told["edges"][-1]
        assert (sum(told["normal"]), sum(told["anomalous"])) == (NORMAL, ODD)


def test_an_earlier_version_can_be_asked(bolts: Line) -> None:
    """Contract: each has its own scores; without known anomalies these are zeros."""
    versions = strict(bolts.client.get(f"/v1/detectors/{NAME}/versions"))["versions"]
    first = next(each["version"] for each in versions if each["change"] == "calibrate")
    told = scores(bolts, version=first)
    assert (told["version"], told["normal_images"], told["anomalous_images"]) == (first, NORMAL, 0)
    assert told["anomalous"] == [0] * 60
    problem(bolts.client.get(PATH, params={"version": 99}), 404, "unknown-version")


def test_a_stale_calibration_is_told_knowingly(bolts: Line) -> None:
    """Contract: 409 unless it is allowed, as for a preview."""
    assert bolts.verb("fit", range(50, 58), mode="extend", promote="always").status_code == 200
    problem(bolts.client.get(PATH), 409, "stale-calibration")
    assert scores(bolts, allow_stale=True)["normal_images"] == NORMAL


def test_without_scores_there_is_nothing_to_tell(bolts: Line) -> None:
    """Contract: 404 for no detector, 409 for no calibration, a line set by hand or not."""
    problem(bolts.client.get("/v1/detectors/nuts/threshold/scores"), 404, "unknown-detector")
    create(bolts.client, "nuts")
    path = "/v1/detectors/nuts/threshold/scores"
    problem(bolts.client.get(path), 409, "not-calibrated")
    pictures = [picture(seed) for seed in range(8)]
    assert upload(bolts.client, "nuts", "fit", pictures).status_code == 200
    assert put(bolts.client, "nuts", method="manual", value=1.0).status_code == 200
    problem(bolts.client.get(path), 409, "not-calibrated")
