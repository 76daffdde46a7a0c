"""Staleness: a calibration of other moments is kept, said to be stale, and not built upon."""

from dataclasses import replace

import numpy as np
import pytest
from embedding_helpers import bits, fitted_to, restarted, synthetic

from detector.detector import Detector
from detector.errors import NotCalibratedError, StaleCalibrationError
from detector.spec import Spec
from detector.thresholds import THRESHOLDS

IMAGES, MORE, HELD_OUT, FRESH = (
    synthetic(seed, n) for seed, n in enumerate((40, 10, 200, 9), start=1)
)
LINE = ("conformal", {"target": 0.1})
PARAMETERS = {
    **{name: {"target": 0.05} for name in ("conformal", "quantile", "chi2", "evt")},
    "ksigma": {"k": 3.0},
    "f1": {},
    "cost": {"miss": 10.0, "false_alarm": 1.0, "prevalence": 0.1},
}

FITTED = fitted_to(Detector(Spec("bolts", "b", "f")), IMAGES)


def calibrated(detector: Detector) -> Detector:
    """Return the detector with held-out scores, known anomalies and a line."""
    parts = detector.contributions(HELD_OUT)
    return detector.calibrate(parts, 0.1, anomalies=np.array([1e3, 2e3]))


KNOWN = calibrated(FITTED)
STALE = {
    "extended": KNOWN.learn(KNOWN.statistics_of(MORE), extend=True),
    "reduced": KNOWN.forget(KNOWN.statistics_of(IMAGES.images(slice(0, 10)))),
}

every_way = pytest.mark.parametrize("way", list(STALE))


@every_way
def test_what_was_known_is_kept_but_stale(way: str) -> None:
    """Law: scores and line are those from before; judging goes on with them."""
    stale = STALE[way]

    assert (stale.stale, stale.state) == (True, "calibrated")
    assert bits(stale.calibration) == bits(KNOWN.calibration)
    assert stale.require_threshold() == KNOWN.require_threshold()
    assert {v.threshold for v in stale.judge(FRESH)} == {KNOWN.require_threshold().value}
    assert bits([v.score for v in stale.judge(FRESH)]) == bits(stale.scores(FRESH).tolist())
    assert (stale.scores(FRESH) != KNOWN.scores(FRESH)).all()


def test_what_was_not_calibrated_cannot_be_stale() -> None:
    """Law: learning and forgetting before a calibration leave nothing that is stale."""
    extended = FITTED.learn(FITTED.statistics_of(MORE), extend=True)

    assert not extended.stale
    assert not extended.forget(FITTED.statistics_of(MORE)).stale
    assert not fitted_to(KNOWN, MORE).stale  # replaced: nothing is left of it


def test_a_line_by_hand_is_stale_too() -> None:
    """Law: scores move with the moments, so a line drawn for the old ones may be wrong."""
    by_hand = FITTED.decide("manual", {"value": 9.0})

    extended = by_hand.learn(FITTED.statistics_of(MORE), extend=True)

    assert (by_hand.stale, extended.stale) == (False, True)
    assert not extended.decide("manual", {"value": 9.0}).stale  # drawn for these moments


@every_way
@pytest.mark.parametrize("method", [name for name in THRESHOLDS if name != "manual"])
def test_a_stale_calibration_is_not_decided_upon(way: str, method: str) -> None:
    """Contract: the message names version, detector and both ways out; fresh, each is accepted."""
    words = (
        r"^version 4 of detector 'bolts' has learned or forgotten images since it was calibrated"
        r".*calibrate it again.*with allow_stale \(--allow-stale\)$"
    )
    with pytest.raises(StaleCalibrationError, match=words):
        STALE[way].having(version=4).decide(method, PARAMETERS[method])
    assert KNOWN.decide(method, PARAMETERS[method]).require_threshold().method == method


@every_way
def test_who_allows_it_gets_the_line_of_the_old_scores(way: str) -> None:
    """Law: the same line as before the change; it stays stale."""
    allowed = STALE[way].decide("conformal", {"target": 0.2}, allow_stale=True)

    expected = KNOWN.decide("conformal", {"target": 0.2}).require_threshold()
    assert allowed.require_threshold() == expected
    assert allowed.stale


@every_way
def test_a_line_by_hand_needs_no_permission_but_heals_nothing(way: str) -> None:
    """Law: p-values still come from the old scores."""
    by_hand = STALE[way].decide("manual", {"value": 7.0})

    assert (by_hand.require_threshold().value, by_hand.stale) == (7.0, True)
    with pytest.raises(StaleCalibrationError):
        by_hand.decide(*LINE)


@every_way
@pytest.mark.parametrize("target", [None, 0.1])
def test_calibrating_clears_it(way: str, target: float | None) -> None:
    """Law: as if the detector had been fitted so and never calibrated before."""
    stale = STALE[way]
    unstained = replace(stale, calibration=None, threshold=None, stale=False)

    again, expected = (
        each.calibrate(stale.contributions(HELD_OUT), target) for each in (stale, unstained)
    )

    assert bits(again) == bits(expected)
    assert not again.stale
    assert bits(again.decide(*LINE)) == bits(expected.decide(*LINE))


@every_way
def test_further_changes_leave_it_stale(way: str) -> None:
    """Law: extending, then forgetting the same does not make a promise good again."""
    stale, some = STALE[way], KNOWN.statistics_of(FRESH)

    assert stale.learn(some, extend=True).forget(some).stale
    assert restarted(stale).stale


def test_without_scores_the_missing_scores_are_named_first() -> None:
    """Contract: a stale line by hand asks for a calibration, not for permission."""
    by_hand = FITTED.decide("manual", {"value": 9.0}).learn(FITTED.statistics_of(MORE), extend=True)

    for allow in (False, True):
        with pytest.raises(NotCalibratedError, match="has no calibration scores"):
            by_hand.decide(*LINE, allow_stale=allow)


def test_require_fresh_refuses_exactly_the_stale() -> None:
    """Contract: nothing for created, fitted and calibrated detectors."""
    for fresh in (Detector(Spec("bolts", "b", "f")), FITTED, KNOWN):
        fresh.require_fresh()
    for stale in STALE.values():
        with pytest.raises(StaleCalibrationError):
            stale.require_fresh()
