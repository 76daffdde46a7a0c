"""A detector's life: created, fitted, calibrated; every step a new value, none changes an old."""

import dataclasses
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from embedding_helpers import Scene, bits, select, synthetic

from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import (
    DegenerateDataError,
    InsufficientCalibrationError,
    InvalidSpecError,
    NotCalibratedError,
    NotFittedError,
)


def test_a_life(created: Detector, scene: Scene) -> None:
    """Contract: states, counts and versions, from the first step to the last."""
    fitted = created.learn(created.statistics_of(scene.fit), extend=False)
    calibrated = fitted.calibrate(fitted.contributions(scene.calibration), 0.1)
    stricter = calibrated.with_target(0.05)
    by_hand = stricter.with_value(1.0)
    extended = by_hand.learn(created.statistics_of(scene.more), extend=True)
    replaced = extended.learn(created.statistics_of(scene.more), extend=False)

    life = [created, fitted, calibrated, stricter, by_hand, extended, replaced]

    assert [d.version for d in life] == [1, 2, 3, 4, 5, 6, 7]
    states = ["created", "fitted", *["calibrated"] * 3, "fitted", "fitted"]
    assert [d.state for d in life] == states
    assert [d.fitted_images for d in life] == [0, 30, 30, 30, 30, 40, 10]
    assert [d.calibration_images for d in life] == [0, 0, 25, 25, 25, 0, 0]
    assert {d.spec for d in life} == {created.spec}


def test_learning_drops_calibration_and_threshold(calibrated: Detector, scene: Scene) -> None:
    """Contract: they belong to the old statistics, whether these are extended or replaced."""
    new = calibrated.statistics_of(scene.more)

    for extend in (True, False):
        learned = calibrated.learn(new, extend=extend)
        assert learned.calibration is None
        assert learned.threshold is None
        assert {v.word for v in learned.judge(scene.fresh)} == {"uncalibrated"}


def test_extended_equals_fitted_at_once(created: Detector, fitted: Detector, scene: Scene) -> None:
    """Law: split + merge = whole, on real pictures, to 1e-6."""
    both = Embedding.concatenate([scene.fit, scene.more])

    extended = fitted.learn(fitted.statistics_of(scene.more), extend=True)
    at_once = created.learn(created.statistics_of(both), extend=False)

    np.testing.assert_allclose(extended.scores(scene.fresh), at_once.scores(scene.fresh), rtol=1e-6)
    assert (extended.scores(scene.fresh) != fitted.scores(scene.fresh)).all()


def test_extending_nothing_is_fitting(created: Detector, fitted: Detector, scene: Scene) -> None:
    """Law: what was not fitted is the neutral element."""
    extended = created.learn(created.statistics_of(scene.fit), extend=True)

    np.testing.assert_array_equal(extended.scores(scene.fresh), fitted.scores(scene.fresh))


STEPS: dict[str, Callable[[Detector, Scene], object]] = {
    "judge": lambda d, s: d.judge(s.fresh),
    "scores": lambda d, s: d.scores(s.anomalous),
    "forget": lambda d, s: d.forget(d.statistics_of(select(s.fit, range(9)))),
    "nearest": lambda d, s: d.nearest(s.fresh),
    "divergence": lambda d, s: d.divergence(s.fresh),
    "extend": lambda d, s: d.learn(d.statistics_of(s.more), extend=True),
    "replace": lambda d, s: d.learn(d.statistics_of(s.more), extend=False),
    "calibrate": lambda d, s: d.calibrate(d.contributions(s.fresh), 0.2),
    "target": lambda d, _: d.with_target(0.2),
    "value": lambda d, _: d.with_value(3.0),
}


@pytest.mark.parametrize("step", list(STEPS))
def test_no_step_changes_the_detector_it_starts_from(
    calibrated: Detector, scene: Scene, step: str
) -> None:
    """Contract: the old value stays, field by field, and judges as before."""
    before, verdicts = bits(calibrated), bits(calibrated.judge(scene.fresh))

    STEPS[step](calibrated, scene)

    assert bits(calibrated) == before
    assert bits(calibrated.judge(scene.fresh)) == verdicts


def test_a_detector_cannot_be_written_to(calibrated: Detector) -> None:
    """Contract: detector, spec and threshold are frozen."""
    for value, name in ((calibrated, "version"), (calibrated.spec, "name")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, 7)
    with pytest.raises(dataclasses.FrozenInstanceError):
        calibrated.require_threshold().value = 0.0  # type: ignore[misc]


def test_what_is_handed_to_calibrate_stays_the_callers(fitted: Detector, scene: Scene) -> None:
    """Contract: scores are sorted in a copy, and a later change of the parts is not seen."""
    parts = fitted.contributions(scene.calibration)
    as_given = parts.copy()
    calibrated = fitted.calibrate(parts, 0.1)
    np.testing.assert_array_equal(parts, as_given)

    parts[:] = math.inf

    np.testing.assert_array_equal(calibrated.calibration, np.sort(as_given.sum(axis=1)))


def test_many_readers_see_the_same(created: Detector, scene: Scene) -> None:
    """Law: on eight threads at once, the first judgement included = alone."""
    fitted = created.learn(created.statistics_of(scene.fit), extend=False)
    expected = bits(fitted.judge(scene.fresh))
    unread = dataclasses.replace(fitted)  # has not made its scorer yet

    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda _: unread.judge(scene.fresh), range(16)))

    assert all(bits(verdict) == expected for verdict in verdicts)


def test_a_detector_that_was_not_fitted_refuses_to_judge(created: Detector, scene: Scene) -> None:
    """Contract: the name and the way out are in the message."""
    for step in (
        lambda: created.judge(scene.fresh),
        lambda: created.scores(scene.fresh),
        lambda: created.calibrate(np.arange(100.0)[:, None], 0.1),
        lambda: created.with_value(1.0),
        created.require_fitted,
    ):
        with pytest.raises(NotFittedError, match="'gravel' is not fitted: fit it first"):
            step()


def test_a_target_needs_calibration_scores(created: Detector, fitted: Detector) -> None:
    """Contract: a threshold by hand is a threshold, but no calibration."""
    for detector in (created, fitted, fitted.with_value(1.0)):
        with pytest.raises(NotCalibratedError, match="'gravel' has no calibration scores"):
            detector.with_target(0.1)
    for detector in (created, fitted):
        with pytest.raises(NotCalibratedError, match="'gravel' has no threshold"):
            detector.require_threshold()
    assert fitted.with_value(1.0).require_threshold().value == 1.0


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_impossible_targets_are_refused(calibrated: Detector, target: float) -> None:
    """Contract: at calibration and later."""
    with pytest.raises(InvalidSpecError, match="between 0 and 1"):
        calibrated.with_target(target)
    with pytest.raises(InvalidSpecError, match="between 0 and 1"):
        calibrated.calibrate(np.arange(99.0)[:, None], target)


def test_too_few_calibration_images_are_refused(calibrated: Detector, fitted: Detector) -> None:
    """Contract: twenty-five images support four per cent, not three."""
    assert calibrated.with_target(0.04).require_threshold().target == 0.04
    with pytest.raises(InsufficientCalibrationError, match="at least 33 calibration images"):
        calibrated.with_target(0.03)
    with pytest.raises(InsufficientCalibrationError, match="there are 0"):
        fitted.calibrate(np.zeros((0, 1)), 0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_thresholds_that_are_no_number_are_refused(calibrated: Detector, value: float) -> None:
    """Contract: against nan nothing would ever be flagged."""
    with pytest.raises(InvalidSpecError, match="must be finite"):
        calibrated.with_value(value)


def test_learning_nothing_is_refused(created: Detector) -> None:
    """Contract: no images, no normal state; what was before stays possible."""
    with pytest.raises(DegenerateDataError):
        created.learn(created.statistics_of(synthetic(0, 0)), extend=False)
    with pytest.raises(NotFittedError):
        created.learn({}, extend=False)
    assert created.state == "created"


def test_forgetting_is_a_step_like_learning(calibrated: Detector, scene: Scene) -> None:
    """Contract: a new version without calibration; nothing left, or more than seen, is refused."""
    some = calibrated.statistics_of(select(scene.fit, range(9)))

    forgotten = calibrated.forget(some)

    assert (forgotten.state, forgotten.fitted_images) == ("fitted", 21)
    assert (forgotten.version, forgotten.calibration) == (calibrated.version + 1, None)
    with pytest.raises(DegenerateDataError):
        calibrated.forget(calibrated.statistics_of(scene.fit))
    more = calibrated.statistics_of(Embedding.concatenate([scene.fit, scene.more]))
    with pytest.raises(ValueError, match=r"cannot forget 40 (rows|images) of 30"):
        calibrated.forget(more)
