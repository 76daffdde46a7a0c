"""Thresholds with a line for each group."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from detector.calibration import Calibration
from detector.errors import InsufficientCalibrationError, InvalidSpecError
from detector.thresholds import choose
from detector.verdict import Threshold

RNG = np.random.default_rng(0)
CALIBRATION = Calibration(RNG.gamma(4, size=300), ("a", "b", "b") * 100)
TARGET = {"target": 0.05}


@pytest.mark.parametrize("method", ["conformal", "quantile"])
def test_lines_by_group_are_those_of_each_group_alone(method: str) -> None:
    """Law: Mondrian is one threshold per group; others are judged by the highest."""
    chosen = choose(method, CALIBRATION, TARGET, by_group=True)

    alone = {name: choose(method, CALIBRATION.of(name), TARGET).value for name in ("a", "b")}
    pooled = choose(method, CALIBRATION, TARGET).value
    assert chosen.by_group == alone
    assert chosen.value == max(*alone.values(), pooled)
    assert [chosen.line(name) for name in ("a", "b")] == [alone["a"], alone["b"]]
    assert chosen.line() == chosen.line("never seen") == chosen.value
    assert "2 groups of 100 to 200 calibration images" in chosen.statement
    assert Threshold(**json.loads(json.dumps(asdict(chosen)))) == chosen


def test_lines_by_group_keep_the_promise_in_every_group_where_one_line_does_not() -> None:
    """Law: over 1,000 calibrations, per group; and for an image whose group is not known."""
    rng, labels = np.random.default_rng(0), ("calm",) * 60 + ("loud",) * 39
    own, pooled, unknown = ([] for _ in range(3))
    for _ in range(1_000):
        scores = np.concatenate([rng.uniform(0, 1, 60), rng.uniform(0.5, 2, 39)])
        calibration = Calibration(scores, labels)
        chosen = choose("conformal", calibration, {"target": 0.1}, by_group=True)
        own.append((1 - chosen.line("calm"), (2 - chosen.line("loud")) / 1.5))
        unknown.append((2 - chosen.line()) / 1.5)
        pooled.append((2 - choose("conformal", calibration, {"target": 0.1}).value) / 1.5)

    means, errors = np.mean(own, axis=0), 3 * np.std(own, axis=0) / np.sqrt(1_000)
    expected = [np.floor(0.1 * 61) / 61, np.floor(0.1 * 40) / 40]
    np.testing.assert_array_less(np.abs(means - expected), errors)
    assert np.mean(pooled) > 0.2  # of the loud ones, by one line for all
    assert np.mean(unknown) <= 0.1 + 3 * np.std(unknown) / np.sqrt(1_000)


@pytest.mark.parametrize(
    ("method", "parameters", "least"),
    [
        ("conformal", {"target": 0.1}, 9),
        ("conformal", {"target": 0.1, "delta": 0.1}, 22),
        ("quantile", {"target": 0.1}, 10),
    ],
)
def test_groups_too_small_are_refused_by_name(
    method: str, parameters: dict[str, float], least: int
) -> None:
    """Contract: each that is too small, what it has and what it needs; with it, it is accepted."""
    sizes = (("large", 50), ("small", least - 1), ("smaller", 2))
    labels = tuple(name for name, size in sizes for _ in range(size))

    with pytest.raises(InsufficientCalibrationError) as refusal:
        choose(method, Calibration(RNG.normal(size=len(labels)), labels), parameters, by_group=True)

    assert f"at least {least} calibration images of each group" in str(refusal.value)
    assert f"'small' has {least - 1}, 'smaller' has 2" in str(refusal.value)
    assert "large" not in str(refusal.value)
    enough = Calibration(RNG.normal(size=50 + least), ("large",) * 50 + ("small",) * least)
    assert set(choose(method, enough, parameters, by_group=True).by_group) == {"large", "small"}


def test_calibration_images_are_counted_above_their_own_groups_line() -> None:
    """Reference: counted here, image by image; with one line it is the count above that."""
    chosen = choose("conformal", CALIBRATION, TARGET, by_group=True)
    above = sum(
        score > chosen.line(group)
        for score, group in zip(CALIBRATION.scores, CALIBRATION.groups, strict=True)
    )
    assert (CALIBRATION.flagged(chosen).count, CALIBRATION.flagged(chosen).of) == (above, 300)
    assert above > CALIBRATION.above(chosen.value).count
    one = choose("conformal", CALIBRATION, TARGET)
    assert CALIBRATION.flagged(one) == CALIBRATION.above(one.value)
    ungrouped = Calibration(CALIBRATION.scores)
    assert ungrouped.flagged(one) == CALIBRATION.above(one.value)


def test_lines_by_group_need_groups_and_a_method_that_has_them() -> None:
    """Contract: each refusal says which."""
    with pytest.raises(InvalidSpecError, match="no calibration image has a group"):
        choose("conformal", Calibration(np.arange(300.0)), {"target": 0.1}, by_group=True)
    with pytest.raises(InvalidSpecError, match="conformal and quantile have"):
        choose("ksigma", CALIBRATION, {"k": 3.0}, by_group=True)
    with pytest.raises(InvalidSpecError, match="one edge"):
        choose("conformal", CALIBRATION, {"target": 0.1}, by_group=True, review_target=0.2)
