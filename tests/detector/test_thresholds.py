"""What holds for every way of choosing a threshold, and with a band of review."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from detector.calibration import Calibration
from detector.errors import (
    DetectorError,
    InsufficientCalibrationError,
    InvalidSpecError,
    MissingAnomaliesError,
)
from detector.thresholds import THRESHOLDS, choose
from detector.verdict import Threshold

PARAMETERS: dict[str, dict[str, float]] = {
    "conformal": {"target": 0.05},
    "quantile": {"target": 0.05},
    "ksigma": {"k": 3.0},
    "chi2": {"target": 0.05},
    "evt": {"target": 0.005},
    "f1": {},
    "cost": {"miss": 5.0, "false_alarm": 1.0, "prevalence": 0.01},
    "manual": {"value": 4.0},
}
EVERY = pytest.mark.parametrize("method", list(THRESHOLDS))
RNG = np.random.default_rng(0)
SCORES, ANOMALIES = RNG.gamma(4, size=300), RNG.gamma(4, size=20) + 8
CALIBRATION = Calibration(SCORES, ("a", "b", "b") * 100, ANOMALIES)


def test_every_method_has_an_example() -> None:
    """Contract: a new method is tested here."""
    assert set(PARAMETERS) == set(THRESHOLDS)


@EVERY
def test_a_threshold_says_what_was_asked_and_what_holds(method: str) -> None:
    """Contract: method, parameters, target where there is one; sentences; no promise but one."""
    chosen = choose(method, CALIBRATION, PARAMETERS[method])

    assert chosen.method == method
    assert chosen.parameters == PARAMETERS[method]
    assert chosen.target == PARAMETERS[method].get("target")
    assert chosen.statement.endswith(".")
    assert "nan" not in chosen.statement
    assert ("romise" not in chosen.statement) == (method == "conformal")
    assert SCORES.min() < chosen.value < ANOMALIES.max()
    assert (chosen.review, chosen.review_target) == (None, None)


@EVERY
def test_a_threshold_survives_json(method: str) -> None:
    """Law: the same value comes back, to the last bit."""
    chosen = choose(method, CALIBRATION, PARAMETERS[method])

    assert Threshold(**json.loads(json.dumps(asdict(chosen)))) == chosen


@EVERY
def test_order_does_not_matter(method: str) -> None:
    """Law: a threshold belongs to a set of scores."""
    order = np.random.default_rng(1).permutation(len(SCORES))
    shuffled = Calibration(SCORES[order], (), ANOMALIES[::-1])

    chosen = choose(method, shuffled, PARAMETERS[method])

    assert chosen == choose(method, CALIBRATION, PARAMETERS[method])


@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-60, 2.0**900])
@EVERY
def test_scores_have_no_unit(method: str, scale: float) -> None:
    """Law: scores twice as high have a line twice as high; huge and tiny ones, too."""
    parameters = dict(PARAMETERS[method])
    if method == "manual":
        parameters["value"] *= scale
    scaled = Calibration(SCORES * scale, (), ANOMALIES * scale)

    line = choose(method, scaled, parameters).value

    expected = choose(method, CALIBRATION, PARAMETERS[method]).value
    assert line / scale == pytest.approx(expected, rel=1e-9)


HARD = {
    "one": np.array([3.0]),
    "two": np.array([1.0, 2.0]),
    "equal": np.full(500, 0.1),
    "nearly equal": np.repeat([0.1, np.nextafter(0.1, 1)], 250),
    "ties": np.repeat(np.arange(5.0), 100),
    "zeros": np.zeros(500),
    "below zero": -np.arange(1.0, 501),
    "huge": np.linspace(-1e300, 1e300, 500),
    "tiny": np.linspace(0, 1, 500) * 1e-310,
    "one far": np.append(np.zeros(499), 1e300),
    "none": np.zeros(0),
}


@pytest.mark.parametrize("scores", list(HARD.values()), ids=list(HARD))
@pytest.mark.parametrize("anomalies", [[], [0.1], [-1e300, 1e300]], ids=["none", "one", "far"])
@EVERY
def test_hard_scores_give_a_number_or_a_refusal(
    method: str, anomalies: list[float], scores: np.ndarray
) -> None:
    """Law: no nan, no warning, no other error; equal scores never lie above their own line."""
    calibration = Calibration(scores, (), np.array(anomalies))
    try:
        chosen = choose(method, calibration, PARAMETERS[method])
    except DetectorError:
        return

    assert np.isfinite(chosen.value)
    assert "nan" not in chosen.statement
    if len(np.unique(scores)) == 1 and method not in ("f1", "cost", "manual"):
        assert chosen.value == scores[0]


@pytest.mark.parametrize("method", ["f1", "cost"])
def test_without_anomalies_what_needs_them_is_refused(method: str) -> None:
    """Contract: the message says what to do."""
    with pytest.raises(MissingAnomaliesError, match=f"{method} .*calibrate with some"):
        choose(method, Calibration(SCORES), PARAMETERS[method])


@EVERY
def test_no_images_are_refused_but_by_hand(method: str) -> None:
    """Contract: a line that a person draws needs none; every other says how many it needs."""
    nothing = Calibration(np.zeros(0), anomalies=ANOMALIES)
    if method == "manual":
        assert choose(method, nothing, PARAMETERS[method]).value == 4
        return
    with pytest.raises(InsufficientCalibrationError, match=r"at least \d+"):
        choose(method, nothing, PARAMETERS[method])


@EVERY
def test_parameters_are_checked_by_name(method: str) -> None:
    """Contract: unknown ones and missing ones are refused, with those that are known."""
    with pytest.raises(InvalidSpecError, match=f"'{method}' takes .*; not sigma"):
        choose(method, CALIBRATION, {**PARAMETERS[method], "sigma": 3.0})
    if PARAMETERS[method]:
        needed = ", ".join(PARAMETERS[method])
        with pytest.raises(InvalidSpecError, match=f"{needed} is missing"):
            choose(method, CALIBRATION, {})


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        *((method, {"target": target}) for method in ("conformal", "quantile", "chi2", "evt")
          for target in (0.0, 1.0, -0.1, np.nan, np.inf)),
        ("conformal", {"target": 0.1, "delta": 0.0}),
        ("conformal", {"target": 0.1, "delta": np.nan}),
        ("ksigma", {"k": -1.0}),
        ("ksigma", {"k": np.nan}),
        ("evt", {"target": 0.01, "tail": 1.0}),
        ("evt", {"target": 0.01, "tail": np.nan}),
        ("cost", {"miss": 0.0, "false_alarm": 1.0, "prevalence": 0.1}),
        ("cost", {"miss": 1.0, "false_alarm": -1.0, "prevalence": 0.1}),
        ("cost", {"miss": 1.0, "false_alarm": 1.0, "prevalence": 1.0}),
        ("cost", {"miss": np.inf, "false_alarm": 1.0, "prevalence": 0.5}),
        ("manual", {"value": np.nan}),
        ("manual", {"value": np.inf}),
        ("sigma", {"k": 3.0}),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_are_refused(method: str, parameters: dict[str, float]) -> None:
    """Contract: before any image is looked at."""
    with pytest.raises(InvalidSpecError):
        choose(method, CALIBRATION, parameters)


def test_a_line_that_is_no_number_is_refused() -> None:
    """Contract: k sigma beyond the largest float is not a threshold; nor is infinity by hand."""
    with pytest.raises(InvalidSpecError, match="must be finite"):
        choose("ksigma", Calibration(np.array([-1e300, 1e300])), {"k": 1e30})
    with pytest.raises(InvalidSpecError, match="must be finite"):
        Threshold(1.0, "conformal", 0.1, "", by_group={"a": np.nan})


@EVERY
def test_review_begins_at_the_conformal_line_of_its_rate(method: str) -> None:
    """Law: whatever draws the threshold, so that the rate of both together is promised."""
    chosen = choose(method, CALIBRATION, PARAMETERS[method], review_target=0.6)

    assert chosen.review == choose("conformal", CALIBRATION, {"target": 0.6}).value
    assert chosen.review_target == 0.6
    assert chosen.review < chosen.value == choose(method, CALIBRATION, PARAMETERS[method]).value
    assert "at most 60 % of new normal images are flagged or to be reviewed" in chosen.statement


@pytest.mark.parametrize("review_target", [0.05, 0.01])
def test_a_band_without_room_is_refused(review_target: float) -> None:
    """Contract: the message says what to ask for."""
    with pytest.raises(InvalidSpecError, match="a higher review rate"):
        choose("conformal", CALIBRATION, {"target": 0.05}, review_target=review_target)


def test_a_review_rate_that_the_images_cannot_support_is_refused() -> None:
    """Contract: as for a target."""
    with pytest.raises(InsufficientCalibrationError, match="at least 999"):
        choose("manual", CALIBRATION, {"value": 100.0}, review_target=0.001)
