"""What a proposal knows of how its calibration images look: that of the reviewed ones, too."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from history_helpers import NAME, Line, line
from http_helpers import strict
from storage_helpers import detector as plain_detector
from watch_helpers import parts, watched

from app.past.proposing import _conformal
from app.past.reviewed import Reviewed
from app.storage.history import ScoredImage
from detector.calibration import Calibration
from detector.rows import Rows

SCORES = np.arange(1.0, 100.0)


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Line]:
    """A detector that watches how pictures look."""
    with line(tmp_path) as running:
        watched(running)
        yield running


def alarms(inputs: np.ndarray | None) -> Reviewed:
    """Return three reviewed false alarms, and how they look."""
    at = datetime(2030, 1, 1, tzinfo=UTC)
    images = [
        ScoredImage(f"{i:032x}", "", 1, at, "", "", f"{i:064x}", 0, None, None, "normal", "", i)
        for i in range(3)
    ]
    rows = Rows({"b": np.zeros((3, 2), np.float32)}, inputs=inputs)
    return Reviewed(images, ["false_alarm"] * 3, rows, 0)


def proposed(of_calibration: np.ndarray | None, of_alarms: np.ndarray | None) -> Calibration:
    """Return the calibration of the proposal; the middle one of the alarms is below the line."""
    known = Calibration(SCORES, inputs=of_calibration)
    detector = replace(plain_detector(), calibration=known).decide("conformal", {"target": 0.1})
    made = _conformal(
        detector,
        detector.require_threshold(),
        alarms(of_alarms),
        np.array([200.0, 5.0, 300.0]),
        np.ones(3, dtype=bool),
        None,
    )
    assert made.taken == [0, 2]
    return made.detector.require_calibrated()


def test_looks_of_those_added_follow_those_of_the_calibration() -> None:
    """Law: in the order of the scores, and of the images that were taken alone."""
    rng = np.random.default_rng(0)
    before, added = rng.random((99, 3)), rng.random((3, 3)).astype(np.float32)
    found = proposed(before, added).inputs
    assert found is not None
    np.testing.assert_array_equal(found[:99], before)
    np.testing.assert_array_equal(found[99:], added[[0, 2]])


@pytest.mark.parametrize("unknown", ["calibration", "alarms", "both"])
def test_looks_that_are_not_known_of_all_are_none(unknown: str) -> None:
    """Contract: rows that were kept before looks were do no harm."""
    before = None if unknown in ("calibration", "both") else np.ones((99, 3))
    added = None if unknown in ("alarms", "both") else np.ones((3, 3), np.float32)
    assert proposed(before, added).inputs is None


def test_an_applied_proposal_watches_how_pictures_look(bolts: Line) -> None:
    """Contract: brightness, contrast and sharpness are watched on after false alarms were added."""
    odd = bolts.score(parts(7000, 4, brighter=60))
    assert all(each["flagged"] for each in odd)
    for each in odd:
        assert bolts.review(each["id"], "false_alarm").status_code == 201
    applied = bolts.client.post(
        f"/v1/detectors/{NAME}/proposals/threshold/apply", params={"rule": "conformal"}
    )
    assert applied.status_code == 201, applied.text
    version = strict(applied)["detector"]["version"]
    promoted = bolts.client.post(f"/v1/detectors/{NAME}/versions/{version}/promote")
    assert promoted.status_code == 200, promoted.text
    detector = bolts.service.catalogue.get(NAME).detector
    looks = detector.require_calibrated().inputs
    assert looks is not None
    assert looks[-4:, 0].min() > np.median(looks[:-4, 0]) + 30
    bolts.score(parts(5000, 5))
    watches = {each["watches"] for each in bolts.get("/drift")["monitors"]}
    assert watches >= {"brightness", "contrast", "sharpness"}
