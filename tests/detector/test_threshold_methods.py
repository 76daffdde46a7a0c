"""Each way of choosing a threshold against a reference of its own."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, genpareto
from sklearn.metrics import f1_score

from detector.calibration import Calibration
from detector.errors import DegenerateDataError, InsufficientCalibrationError, InvalidSpecError
from detector.thresholds import choose
from detector.thresholds.chi2 import ChiSquare
from detector.thresholds.evt import ExtremeValue, Tail

TIED = st.lists(st.integers(0, 9), min_size=1, max_size=80)


def floats(scores: list[int]) -> np.ndarray:
    """Return scores as an array."""
    return np.array(scores, dtype=np.float64)


@given(scores=TIED, thousandths=st.integers(1, 999))
def test_quantile_equals_numpys(scores: list[int], thousandths: int) -> None:
    """Reference: numpy's inverted distribution function; and at most the target lies above."""
    target, calibration = thousandths / 1000, Calibration(floats(scores))
    if len(scores) * thousandths < 1000:
        with pytest.raises(InsufficientCalibrationError, match=rf"{math.ceil(1000 / thousandths)}"):
            choose("quantile", calibration, {"target": target})
        return

    line = choose("quantile", calibration, {"target": target}).value

    level = 1 - target - 1e-12  # 1 - 0.29 is a little above 0.71
    assert line == np.quantile(floats(scores), level, method="inverted_cdf")
    assert sum(score > line for score in scores) * 1000 <= thousandths * len(scores)


def test_quantile_says_the_rate_that_comes() -> None:
    """Law: new images lie above at (n + 1 - k) / (n + 1) on average, more than was asked."""
    rng = np.random.default_rng(0)
    drawn = [Calibration(rng.uniform(size=20)) for _ in range(4_000)]
    chosen = [choose("quantile", one, {"target": 0.1}) for one in drawn]

    rates = 1 - np.array([one.value for one in chosen])

    assert np.mean(rates) == pytest.approx(3 / 21, abs=3 * rates.std() / np.sqrt(4_000))
    assert "2 of 20 calibration images" in chosen[0].statement
    assert "up to 14.29 % are expected" in chosen[0].statement


def test_ksigma_is_mean_and_deviations_and_counts() -> None:
    """Reference: numpy; what lies above is counted in words."""
    scores = np.random.default_rng(0).gamma(2, size=200)

    chosen = choose("ksigma", Calibration(scores), {"k": 2.0})

    assert chosen.value == pytest.approx(scores.mean() + 2 * scores.std(ddof=1), rel=1e-12)
    assert f"; {np.sum(scores > chosen.value)} of 200 of them lie above" in chosen.statement
    assert chosen.target is None


@pytest.mark.parametrize("target", [0.001, 0.05, 0.9])
def test_chi2_has_the_scores_mean_and_variance(target: float) -> None:
    """Reference: scipy's chi2, with g and h from the moments."""
    scores = 3 * np.random.default_rng(0).chisquare(7, size=500)
    mean, variance = scores.mean(), scores.var(ddof=1)
    g, h = variance / (2 * mean), 2 * mean**2 / variance

    line = choose("chi2", Calibration(scores), {"target": target}).value

    assert g * h == pytest.approx(mean)
    assert 2 * g**2 * h == pytest.approx(variance)
    assert line == pytest.approx(g * chi2.isf(target, h), rel=1e-9)


def test_chi2_says_how_badly_it_fits() -> None:
    """Reference: the QQ gap worked out with scipy; small where the law is true, large where not."""
    rng = np.random.default_rng(1)
    gaps = {}
    for name, scores in (("true", rng.chisquare(5, size=400)), ("heavy", rng.pareto(2, size=400))):
        said = choose("chi2", Calibration(scores), {"target": 0.01}).statement
        mean, deviation = scores.mean(), scores.std(ddof=1)
        h, g = 2 * (mean / deviation) ** 2, deviation**2 / (2 * mean)
        law = g * chi2.ppf((np.arange(400) + 0.5) / 400, h)
        gaps[name] = np.sqrt(np.mean((np.sort(scores) - law) ** 2)) / deviation
        assert f"the QQ gap is {gaps[name]:.2f} standard deviations" in said
        assert "promises nothing" in said

    assert 3 * gaps["true"] < gaps["heavy"]


def test_chi2_of_scores_below_zero_is_refused() -> None:
    """Contract: such a law has a positive mean."""
    with pytest.raises(DegenerateDataError, match="another method"):
        ChiSquare(0.1).line(Calibration(np.array([-1.0, -2.0])))


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2, 0.5])
def test_the_tails_quantile_equals_scipys(shape: float) -> None:
    """Reference: scipy.stats.genpareto, above a start that a tenth of the scores exceed."""
    tail = Tail(start=2.0, share=0.1, excesses=50, scale=1.5, shape=shape)

    for upper in (0.1, 0.05, 1e-3, 1e-6):
        expected = 2.0 + genpareto.isf(upper / 0.1, shape, scale=1.5)
        assert tail.quantile(upper) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2])
def test_the_tail_of_a_pareto_law_is_found(shape: float) -> None:
    """Law: above u a generalised Pareto law has the same shape and the scale sigma + xi u."""
    scores = genpareto.rvs(shape, scale=2, size=100_000, random_state=0)

    tail = ExtremeValue(0.001, tail=0.2).fit(Calibration(scores))

    assert tail.start == np.sort(scores)[-20_001]
    assert tail.share == 0.2
    assert tail.shape == pytest.approx(shape, abs=0.03)
    assert tail.scale == pytest.approx(2 + shape * tail.start, rel=0.04)


def test_evt_hits_its_target_on_average_where_the_law_holds() -> None:
    """Law: over 2,000 calibrations of 250 exponential scores, the line for 1 in 1,000.

    It is below what 250 images can show. The estimate scatters, and errs on the side of alarms.
    """
    rng, rates = np.random.default_rng(0), []
    for _ in range(2_000):
        chosen = choose("evt", Calibration(rng.exponential(size=250)), {"target": 1e-3})
        rates.append(math.exp(-chosen.value))

    assert 1e-3 / 2 < np.median(rates) < 2e-3
    assert np.mean(rates) < 4e-3
    assert "extrapolates beyond the 250 calibration images" in chosen.statement


def test_evt_never_ends_below_what_was_seen() -> None:
    """Law: the fitted tail reaches the highest score, for bounded scores as for others."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        calibration = Calibration(rng.beta(2, 1, size=200))
        tail = ExtremeValue(1e-6).fit(calibration)
        end = tail.start - tail.scale / tail.shape if tail.shape < 0 else math.inf
        assert end >= calibration.ascending[-1] * (1 - 1e-12)


def test_evt_needs_a_tail() -> None:
    """Contract: the number of images that would do; then it is accepted; ties are named."""
    scores = np.random.default_rng(0).exponential(size=200)
    with pytest.raises(InsufficientCalibrationError, match=r"there are 19 of 199: at least 200"):
        choose("evt", Calibration(scores[1:]), {"target": 1e-3})
    assert choose("evt", Calibration(scores), {"target": 1e-3}).value > np.quantile(scores, 0.9)

    with pytest.raises(InsufficientCalibrationError, match=r"at least 400 .* would do"):
        choose("evt", Calibration(scores), {"target": 1e-3, "tail": 0.05})
    with pytest.raises(InsufficientCalibrationError, match="if few scores were equal"):
        choose("evt", Calibration(np.ones(500)), {"target": 1e-3})
    with pytest.raises(InsufficientCalibrationError, match="50 scores in the tail are equal"):
        choose("evt", Calibration(np.repeat([0.0, 1.0], [450, 50])), {"target": 1e-3})
    with pytest.raises(InvalidSpecError, match="take 'conformal'"):
        choose("evt", Calibration(scores), {"target": 0.1})


@settings(max_examples=30)
@given(normal=TIED, anomalous=TIED)
def test_f1_is_the_best_of_all_lines(normal: list[int], anomalous: list[int]) -> None:
    """Reference: scikit-learn's F1 at every line there can be; fewest false alarms among equals."""
    scores = floats(normal + anomalous)
    truth = np.repeat([False, True], [len(normal), len(anomalous)])
    lines = np.arange(-0.5, 10)
    best = max(f1_score(truth, scores > line, zero_division=0) for line in lines)

    line = choose("f1", Calibration(floats(normal), anomalies=floats(anomalous)), {}).value

    assert f1_score(truth, scores > line, zero_division=0) == pytest.approx(best)
    equal = [
        np.sum(floats(normal) > other)
        for other in lines
        if f1_score(truth, scores > other, zero_division=0) > best - 1e-12
    ]
    assert np.sum(floats(normal) > line) == min(equal)


COSTS = st.sampled_from([0.5, 1.0, 20.0])


@given(normal=TIED, anomalous=TIED, miss=COSTS, alarm=COSTS, share=st.sampled_from([0.001, 0.5]))
def test_cost_is_the_least_of_all_lines(
    normal: list[int], anomalous: list[int], miss: float, alarm: float, share: float
) -> None:
    """Reference: a naive twin, the expected cost at every line there can be."""

    def cost(line: float) -> float:
        missed = float(np.mean(floats(anomalous) <= line))
        return share * miss * missed + (1 - share) * alarm * float(np.mean(floats(normal) > line))

    least = min(cost(line) for line in np.arange(-0.5, 10))
    chosen = choose(
        "cost",
        Calibration(floats(normal), anomalies=floats(anomalous)),
        {"miss": miss, "false_alarm": alarm, "prevalence": share},
    )

    assert cost(chosen.value) == pytest.approx(least, abs=1e-12)
    assert f"{1000 * least:.4g} per 1,000 images" in chosen.statement


def test_labelled_lines_lie_midway() -> None:
    """Contract: a line between what it parts leaves both sides the same margin; counts in words."""
    calibration = Calibration(np.array([1.0, 2.0, 3.0]), anomalies=np.array([5.0, 9.0]))

    for method, parameters in (
        ("f1", {}),
        ("cost", {"miss": 10.0, "false_alarm": 1.0, "prevalence": 0.5}),
    ):
        chosen = choose(method, calibration, parameters)
        assert chosen.value == 4
        assert "2 of 2 known anomalies and 0 of 3 calibration images" in chosen.statement
        assert "No promise" in chosen.statement


def test_a_line_by_hand_is_kept() -> None:
    """Contract: with calibration images what lies above is counted, without them it is unknown."""
    assert choose("manual", Calibration(np.arange(4.0)), {"value": 2.0}).statement == (
        "Set by hand; no promise. Above it: 1 of 4 calibration images."
    )
    without = choose("manual", Calibration(np.zeros(0)), {"value": -3.0})
    assert without.value == -3
    assert "unknown: there are no calibration images" in without.statement
