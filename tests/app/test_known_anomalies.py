"""Known anomalies and the review band stay with a calibration, wherever it goes.

Anomalies are many more than a file of rows holds.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_helpers import create, followed, strict
from moving_helpers import NAME, Site, picture, site

from app.past.replay import replay
from detector.detector import Detector

ANOMALIES = 150
"""Three files of rows: the first also holds normal images, the others anomalies alone."""

REVIEW = 0.3


@pytest.fixture
def bolts(tmp_path: Path) -> Iterator[Site]:
    """A detector calibrated with normal images and many known anomalies."""
    with site(tmp_path / "home") as there:
        create(there.client, NAME, scorer="fusion")
        there.do("fit", range(40))
        calibrate(there, range(100, 139), range(ANOMALIES))
        yield there


def calibrate(there: Site, normal: range, odd: range) -> dict[str, Any]:
    """Calibrate with these pictures; return the job's result."""
    files = [("images", (f"{seed}.bmp", picture(seed))) for seed in normal]
    files += [("anomalies", (f"{seed}.bmp", picture(seed, 60))) for seed in odd]
    url = f"/v1/detectors/{NAME}/calibrate"
    posted = there.client.post(url, files=files, params={"review_target": REVIEW})
    return dict(strict(followed(there.client, posted)))


def recalibrated(there: Site, **query: Any) -> dict[str, Any]:
    """Calibrate again from rows; return the job's result."""
    posted = there.client.post(f"/v1/detectors/{NAME}/recalibrate", params=query)
    ended = followed(there.client, posted)
    assert ended.status_code == 200, ended.text
    return dict(strict(ended))


def known(there: Site, version: int | None = None) -> np.ndarray:
    """Return the scores of known anomalies."""
    detector: Detector = there.service.catalogue.get(NAME, version).detector
    return detector.require_calibrated().anomalies


def test_all_are_scored_again_from_their_rows(bolts: Site) -> None:
    """Law: of the same fit the same scores, in order; and a line that needs them can be drawn."""
    before = known(bolts)
    assert len(before) == ANOMALIES
    told = recalibrated(bolts, method="f1")
    assert told["calibrated"] == 39 + ANOMALIES
    assert told["detector"]["known_anomalies"] == ANOMALIES
    np.testing.assert_allclose(known(bolts), before, rtol=1e-9)
    assert recalibrated(bolts)["detector"]["known_anomalies"] == ANOMALIES  # and of that, again


def test_all_move_with_their_rows(bolts: Site, tmp_path: Path) -> None:
    """Law: calibrated again where they came to, the scores are those of here."""
    bundle = bolts.export(rows=True)
    with site(tmp_path / "away") as away:
        assert away.bring(bundle).status_code == 201
        assert recalibrated(away, method="f1")["calibrated"] == 39 + ANOMALIES
        np.testing.assert_allclose(known(away), known(bolts), rtol=1e-9)


def test_a_calibration_without_any_has_none(bolts: Site) -> None:
    """Contract: those of an earlier calibration do not come back."""
    assert calibrate(bolts, range(200, 239), range(0))["detector"]["known_anomalies"] == 0
    told = recalibrated(bolts)
    assert (told["calibrated"], told["detector"]["known_anomalies"]) == (39, 0)


@pytest.mark.parametrize("kind", ["threshold", "images"])
def test_what_reviews_lead_to_keeps_them(bolts: Site, kind: str) -> None:
    """Law: a version made of reviews has both, and so has what is calibrated on it from rows."""
    files = [("images", (f"{seed}.bmp", picture(seed, 25))) for seed in range(2000, 2005)]
    scored = strict(bolts.client.post(f"/v1/detectors/{NAME}/score", files=files))["results"]
    assert bolts.client.portal is not None
    bolts.client.portal.call(bolts.service.history.flush)
    for each in scored:
        body = {"image": each["id"], "word": "false_alarm"}
        assert bolts.client.post("/v1/reviews", json=body).status_code == 201
    applied = bolts.client.post(f"/v1/detectors/{NAME}/proposals/{kind}/apply")
    assert applied.status_code == 201, applied.text
    made = strict(applied)["detector"]
    version = made["version"]
    assert len(known(bolts, version)) == ANOMALIES
    again = recalibrated(bolts, base=version)["detector"]
    assert again["known_anomalies"] == ANOMALIES
    for shown in (made, again):
        drawn = shown["threshold"]
        assert drawn["review_target"] == REVIEW
        assert drawn["review"] < drawn["value"]
    if kind == "images":  # of another fit the band is another, too
        assert made["threshold"]["review"] == pytest.approx(again["threshold"]["review"], rel=1e-9)
        assert "30 % of new normal images" in made["threshold"]["statement"]
    np.testing.assert_allclose(known(bolts, again["version"]), known(bolts, version), rtol=1e-9)


def test_a_replay_by_another_scorer_has_them(bolts: Site) -> None:
    """Contract: judged by it from their rows, so that a line which needs them can be drawn."""
    assert bolts.client.portal is not None
    judge = partial(replay, bolts.service, NAME, scorer="gaussian")
    drawn = bolts.client.portal.call(judge).judge
    assert len(drawn.require_calibrated().anomalies) == ANOMALIES
    assert drawn.require_threshold().review_target == REVIEW
