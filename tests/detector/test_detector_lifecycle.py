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
from detector.thresholds import THRESHOLDS


def test_a_life(created: Detector, scene: Scene) -> None:
    """Contract: states, counts and freshness, from the first step to the last."""
    fitted = created.learn(created.statistics_of(scene.fit), extend=False)
    scored = fitted.calibrate(fitted.contributions(scene.calibration))
    calibrated = fitted.calibrate(fitted.contributions(scene.calibration), 0.1)
    stricter = calibrated.decide("conformal", {"target": 0.05})
    by_hand = stricter.decide("manual", {"value": 1.0})
    extended = by_hand.learn(created.statistics_of(scene.more), extend=True)
    again = extended.calibrate(extended.contributions(scene.calibration), 0.1)
    reduced = again.forget(created.statistics_of(scene.more))
    replaced = reduced.learn(created.statistics_of(scene.more), extend=False)

    life = [created, fitted, scored, calibrated, stricter, by_hand, extended, again, reduced]
    life.append(replaced)

    states = ["created", "fitted", "fitted", *["calibrated"] * 6, "fitted"]
    assert [d.state for d in life] == states
    assert [d.fitted_images for d in life] == [0, *[30] * 5, 40, 40, 30, 10]
    assert [d.calibration_images for d in life] == [0, 0, *[25] * 7, 0]
    assert [d.stale for d in life] == [*[False] * 6, True, False, True, False]
    assert {d.spec for d in life} == {created.spec}


def test_the_number_is_the_storages(created: Detector, calibrated: Detector, scene: Scene) -> None:
    """Contract: a step keeps the number it found, 0 until there is one; it never counts up."""
    assert created.version == calibrated.version == 0
    numbered = calibrated.having(version=5)
    for step in STEPS.values():
        made = step(numbered, scene)
        assert not isinstance(made, Detector) or made.version == 5


def test_having_shares_the_scorer(calibrated: Detector, fitted: Detector, scene: Scene) -> None:
    """Contract: what is not about moments costs no new scorer; what is makes one."""
    for step in ("calibrate", "target", "value", "band", "by group"):
        made = STEPS[step](calibrated, scene)
        assert isinstance(made, Detector)
        assert made._scorer is calibrated._scorer is fitted._scorer
    for step in ("extend", "replace", "forget"):
        made = STEPS[step](calibrated, scene)
        assert isinstance(made, Detector)
        assert made._scorer is not calibrated._scorer


def test_replacing_drops_calibration_and_threshold(calibrated: Detector, scene: Scene) -> None:
    """Contract: they belong to what is gone; nothing is left that could be stale."""
    learned = calibrated.learn(calibrated.statistics_of(scene.more), extend=False)

    assert (learned.calibration, learned.threshold, learned.stale) == (None, None, False)
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
    "target": lambda d, _: d.decide("conformal", {"target": 0.2}),
    "value": lambda d, _: d.decide("manual", {"value": 3.0}),
    "band": lambda d, _: d.decide("conformal", {"target": 0.1}, review_target=0.5),
    "by group": lambda d, s: d.calibrate(d.contributions(s.fresh), groups=["x"] * 15).decide(
        "conformal", {"target": 0.2}, by_group=True
    ),
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
    """Contract: scores are kept in order of arrival; a later change of the parts is not seen."""
    parts, groups, odd = fitted.contributions(scene.calibration), ["x"] * 25, np.array([7.0])
    as_given = parts.copy()
    calibrated = fitted.calibrate(parts, 0.1, groups=groups, anomalies=odd)
    np.testing.assert_array_equal(parts, as_given)

    parts[:] = odd[:] = math.inf
    groups[:] = ["y"] * 25

    known = calibrated.calibration
    assert known is not None
    np.testing.assert_array_equal(known.scores, as_given.sum(axis=1))
    np.testing.assert_array_equal(known.ascending, np.sort(as_given.sum(axis=1)))
    assert (known.groups, known.anomalies.tolist()) == (("x",) * 25, [7.0])


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
        lambda: created.decide("manual", {"value": 1.0}),
        lambda: created.decide("conformal", {"target": 0.1}),
        lambda: created.divergence(scene.fresh),
        created.require_fitted,
        created.ready,
    ):
        with pytest.raises(NotFittedError, match="'gravel' is not fitted: fit it first"):
            step()


@pytest.mark.parametrize("method", [name for name in THRESHOLDS if name != "manual"])
def test_a_line_needs_calibration_scores(fitted: Detector, method: str) -> None:
    """Contract: by every method but by hand, which is a threshold, but no calibration."""
    by_hand = fitted.decide("manual", {"value": 1.0})
    for detector in (fitted, by_hand):
        with pytest.raises(NotCalibratedError, match="'gravel' has no calibration scores"):
            detector.decide(method, {"target": 0.1})
    assert by_hand.require_threshold().value == 1.0


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_impossible_targets_are_refused(calibrated: Detector, scene: Scene, target: float) -> None:
    """Contract: at calibration and later."""
    wrong = "between 0 and 1|finite"
    with pytest.raises(InvalidSpecError, match=wrong):
        calibrated.decide("conformal", {"target": target})
    with pytest.raises(InvalidSpecError, match=wrong):
        calibrated.calibrate(calibrated.contributions(scene.calibration), target)


def test_too_few_calibration_images_are_refused(calibrated: Detector, fitted: Detector) -> None:
    """Contract: twenty-five images support four per cent, not three."""
    least = calibrated.decide("conformal", {"target": 0.04})
    assert least.require_threshold().target == 0.04
    with pytest.raises(InsufficientCalibrationError, match="at least 33 calibration images"):
        calibrated.decide("conformal", {"target": 0.03})
    with pytest.raises(InsufficientCalibrationError, match="there are 0"):
        fitted.calibrate(np.zeros((0, 1)), 0.1)


def test_a_group_for_every_score(fitted: Detector, scene: Scene) -> None:
    """Contract: fewer or more are refused, and both are counted."""
    with pytest.raises(InvalidSpecError, match="25 scores, but 24 groups"):
        fitted.calibrate(fitted.contributions(scene.calibration), groups=["x"] * 24)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_thresholds_that_are_no_number_are_refused(calibrated: Detector, value: float) -> None:
    """Contract: against nan nothing would ever be flagged."""
    with pytest.raises(InvalidSpecError, match="must be a finite number"):
        calibrated.decide("manual", {"value": value})


def test_learning_nothing_is_refused(created: Detector) -> None:
    """Contract: no images, no normal state; what was before stays possible."""
    with pytest.raises(DegenerateDataError):
        created.learn(created.statistics_of(synthetic(0, 0)), extend=False)
    with pytest.raises(NotFittedError):
        created.learn({}, extend=False)
    assert created.state == "created"


def test_forgetting_is_a_step_like_learning(calibrated: Detector, scene: Scene) -> None:
    """Contract: its line is kept, but stale; nothing left, or more than seen, is refused."""
    some = calibrated.statistics_of(select(scene.fit, range(9)))

    forgotten = calibrated.forget(some)

    assert (forgotten.state, forgotten.fitted_images) == ("calibrated", 21)
    assert (forgotten.calibration_images, forgotten.stale) == (25, True)
    with pytest.raises(DegenerateDataError):
        calibrated.forget(calibrated.statistics_of(scene.fit))
    more = calibrated.statistics_of(Embedding.concatenate([scene.fit, scene.more]))
    with pytest.raises(ValueError, match=r"cannot forget 40 (rows|images) of 30"):
        calibrated.forget(more)
