"""Verdicts: score, threshold, margin, p-value and flag never contradict each other."""

import math

import numpy as np
import pytest
from embedding_helpers import Scene, bits, select

from detector import conformal
from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import NotCalibratedError
from detector.verdict import Verdict


def everything(scene: Scene) -> Embedding:
    """Return normal pictures, calibration pictures and others together."""
    return Embedding.concatenate([scene.fresh, scene.calibration, scene.anomalous])


@pytest.mark.parametrize("target", [0.04, 0.1, 0.5, 0.96])
def test_flag_margin_and_p_value_agree(calibrated: Detector, scene: Scene, target: float) -> None:
    """Law: flagged if and only if margin > 0, and if and only if p <= target."""
    detector = calibrated.decide("conformal", {"target": target})

    verdicts = detector.judge(everything(scene))

    for v in verdicts:
        assert v.threshold == detector.require_threshold().value
        assert v.margin == v.score - v.threshold
        assert v.p_value is not None
        assert 0 < v.p_value <= 1
        assert v.flagged == (v.margin > 0) == (v.p_value <= target)
        assert v.word == ("anomalous" if v.flagged else "normal")
    assert {v.flagged for v in verdicts} == {True, False}


def test_a_score_on_the_line_is_normal(calibrated: Detector, scene: Scene) -> None:
    """Contract: anomalous is above the line, so the image that drew it is not."""
    first = calibrated.judge(scene.fresh)[0]

    on, below = (
        calibrated.decide("manual", {"value": value}).judge(scene.fresh)[0]
        for value in (first.score, math.nextafter(first.score, -math.inf))
    )

    assert (on.margin, on.flagged) == (0.0, False)
    assert below.flagged


def test_contributions_sum_to_the_score(calibrated: Detector, scene: Scene) -> None:
    """Law: named parts, in the order of the blocks where they are blocks."""
    blocks = list(scene.fit.gate)
    last = list(scene.fit.regional)[-1]
    parts = {
        "fusion": [*blocks[blocks.index(last) + 1 :], "regional"],
        "regional": ["regional"],
        "kl": ["mean", "scale", "correlation", "null"],
    }
    for v in calibrated.judge(everything(scene)):
        assert list(v.contributions) == parts.get(calibrated.spec.scorer, blocks)
        signed = [part for name, part in v.contributions.items() if name != "null"]
        assert min(signed) >= -1e-12
        assert math.fsum(v.contributions.values()) == pytest.approx(v.score, rel=1e-12)


def test_other_pictures_are_anomalous(calibrated: Detector, scene: Scene) -> None:
    """Contract: photographs are not gravel, and score above every crop of it."""
    verdicts = calibrated.judge(scene.anomalous)

    assert {v.word for v in verdicts} == {"anomalous"}
    assert {v.p_value for v in verdicts} == {1 / 26}
    normal = calibrated.scores(Embedding.concatenate([scene.fresh, scene.calibration]))
    assert min(v.score for v in verdicts) > normal.max()


def test_a_verdict_does_not_depend_on_the_company(calibrated: Detector, scene: Scene) -> None:
    """Law: batch = alone and in order = out of order, to the rounding of float64."""
    together = calibrated.judge(scene.fresh)
    order = np.arange(len(scene.fresh))[::-1]
    backwards = calibrated.judge(select(scene.fresh, order))[::-1]

    for i, expected in enumerate(together):
        for got in (calibrated.judge(scene.fresh.image(i))[0], backwards[i]):
            assert got.score == pytest.approx(expected.score, rel=1e-12)
            assert (got.flagged, got.p_value) == (expected.flagged, expected.p_value)


def test_judged_scores_are_the_scores(calibrated: Detector, scene: Scene) -> None:
    """Law: calibration and judgement measure with one rule, bit by bit."""
    scores = calibrated.scores(scene.fresh)

    assert [v.score for v in calibrated.judge(scene.fresh)] == scores.tolist()


def test_the_threshold_is_one_of_the_calibration_scores(calibrated: Detector, scene: Scene) -> None:
    """Reference: the 24th of 25 sorted scores for ten per cent: k = ceil(26 * 0.9)."""
    scores = sorted(calibrated.scores(scene.calibration))
    threshold = calibrated.require_threshold()

    assert threshold.value == scores[23]
    assert (threshold.method, threshold.target) == ("conformal", 0.1)
    assert threshold.statement == conformal.statement(25, 0.1)


def test_without_a_threshold_there_is_a_score_only(fitted: Detector, scene: Scene) -> None:
    """Contract: uncalibrated, and nothing that looks like a decision."""
    for v in fitted.judge(scene.fresh):
        bare = Verdict(
            v.score, v.contributions, None, None, None, None, cells=v.cells, region=v.region
        )
        assert bits(v) == bits(bare)
        assert v.word == "uncalibrated"
        assert math.isfinite(v.score)


def test_what_has_no_threshold_says_so(created: Detector, fitted: Detector, scene: Scene) -> None:
    """Contract: created, fitted, and calibrated without a target."""
    scored = fitted.calibrate(fitted.contributions(scene.calibration))
    for detector in (created, fitted, scored):
        with pytest.raises(NotCalibratedError, match="'gravel' has no threshold"):
            detector.require_threshold()
    first = scored.decide("conformal", {"target": 0.1})
    assert bits(first) == bits(fitted.calibrate(fitted.contributions(scene.calibration), 0.1))


def test_a_threshold_by_hand_decides_without_p_values(fitted: Detector, scene: Scene) -> None:
    """Contract: no calibration, no p-value; the flag is there, the promise is not."""
    scores = fitted.scores(scene.fresh)
    line = float(np.median(scores))
    detector = fitted.decide("manual", {"value": line})

    verdicts = detector.judge(scene.fresh)

    assert [v.flagged for v in verdicts] == (scores > line).tolist()
    assert {v.p_value for v in verdicts} == {None}
    threshold = detector.require_threshold()
    assert (threshold.method, threshold.target, threshold.value) == ("manual", None, line)
    assert threshold.statement == (
        "Set by hand; no promise. Above it: unknown: there are no calibration images."
    )


def test_a_threshold_by_hand_counts_the_calibration_images_above(
    calibrated: Detector, scene: Scene
) -> None:
    """Reference: counted here; a score on the line is not above it."""
    scores = sorted(calibrated.scores(scene.calibration).tolist())
    for value, above in ((scores[0] - 1, 25), (scores[19], 5), (scores[-1], 0)):
        detector = calibrated.decide("manual", {"value": value})
        assert f"Above it: {above} of 25 calibration" in detector.require_threshold().statement
        assert all(v.p_value for v in detector.judge(scene.fresh))


def test_the_map_counts_from_a_typical_image(fitted: Detector, scene: Scene) -> None:
    """Law: calibrated, each cell is the regional part plus the median of all else."""
    parts = fitted.contributions(scene.calibration)
    others = [part != "regional" for part in fitted.judge(scene.fresh)[0].contributions]
    typical = float(np.median(parts[:, others].sum(axis=1)))
    calibrated = fitted.calibrate(parts, 0.1)

    assert calibrated.calibration is not None
    assert calibrated.calibration.elsewhere == typical
    for before, after in zip(fitted.judge(scene.fresh), calibrated.judge(scene.fresh), strict=True):
        if before.cells is not None:
            assert after.cells is not None
            np.testing.assert_allclose(after.cells, before.cells + typical, rtol=1e-12)
