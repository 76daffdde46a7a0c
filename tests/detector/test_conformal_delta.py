"""The conformal threshold with delta: sure of one calibration, not of their average."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import beta

from detector import conformal
from detector.errors import InsufficientCalibrationError, InvalidSpecError

RATES = st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.5, 0.9])


@given(n=st.integers(1, 400), alpha=RATES, delta=RATES)
def test_the_rank_with_delta_is_the_least_whose_rate_is_sure_enough(
    n: int, alpha: float, delta: float
) -> None:
    """Reference: scipy's Beta law of the rate above the k-th smallest, for every k."""
    ranks = np.arange(1, n + 1)
    sure = beta.sf(alpha, n + 1 - ranks, ranks) <= delta * (1 + 1e-9)
    if not sure.any():
        assert n < conformal.least_images(alpha, delta)
        with pytest.raises(InsufficientCalibrationError):
            conformal.rank(n, alpha, delta)
        return

    assert conformal.rank(n, alpha, delta) == ranks[sure][0]


@given(n=st.integers(1, 60), tenths=st.integers(1, 9), delta=RATES)
def test_the_rank_with_delta_equals_counting_in_exact_arithmetic(
    n: int, tenths: int, delta: float
) -> None:
    """Reference: a naive twin, the binomial law in fractions."""
    alpha, allowed = Fraction(tenths, 10), Fraction(str(delta))
    at_most, fitting = Fraction(0), -1
    for count in range(n):
        at_most += math.comb(n, count) * alpha**count * (1 - alpha) ** (n - count)
        fitting = count if at_most <= allowed else fitting
    assume(fitting >= 0)

    assert conformal.rank(n, tenths / 10, delta) == n - fitting


@pytest.mark.parametrize(("n", "alpha", "delta"), [(100, 0.05, 0.1), (300, 0.01, 0.05)])
def test_the_promise_with_delta_holds_over_calibrations(n: int, alpha: float, delta: float) -> None:
    """Law: of 20,000 uniform calibrations at most delta have a line that more than alpha exceed.

    A rank lower would break the promise, and the marginal line breaks it about half of the time.
    """
    drawn = np.sort(np.random.default_rng(0).uniform(size=(20_000, n)), axis=1)
    error = 3 * math.sqrt(delta * (1 - delta) / 20_000)

    def broken(k: int) -> float:
        return float(np.mean(1 - drawn[:, k - 1] > alpha))

    k = conformal.rank(n, alpha, delta)
    assert broken(k) <= delta + error
    assert broken(k - 1) > delta + error
    assert broken(conformal.rank(n, alpha)) > 2 * delta


def test_ties_only_keep_the_promise_with_delta_better() -> None:
    """Law: with rounded scores the rate above the line is no higher than without."""
    drawn = np.random.default_rng(1).uniform(size=(2_000, 100))
    for scores in drawn:
        line = conformal.threshold(np.ceil(scores * 20) / 20, 0.1, 0.1)
        assert 1 - line <= 1 - conformal.threshold(scores, 0.1, 0.1)


@pytest.mark.parametrize(
    ("alpha", "delta", "least"), [(0.05, 0.05, 59), (0.01, 0.05, 299), (0.01, 0.1, 230)]
)
def test_least_images_with_delta(alpha: float, delta: float, least: int) -> None:
    """Reference: the customary 59 of 95/95 and 299 of 95/99; one fewer is refused."""
    scores = np.arange(least, dtype=float)

    assert conformal.least_images(alpha, delta) == least
    assert conformal.threshold(scores, alpha, delta) == least - 1
    with pytest.raises(InsufficientCalibrationError, match=rf"at least {least} .*there are"):
        conformal.threshold(scores[1:], alpha, delta)


@pytest.mark.parametrize("n", [1, 2, 7, 50, 1000])
@pytest.mark.parametrize("delta", [0.001, 0.05, 0.5])
def test_the_rate_that_the_refusal_with_delta_offers_is_accepted(n: int, delta: float) -> None:
    """Contract: who follows the message's advice is not refused again."""
    with pytest.raises(InsufficientCalibrationError) as refusal:
        conformal.rank(n, 1e-6, delta)

    offered = re.search(r"the smallest rate \d+ can support is (\S+)$", str(refusal.value))

    assert offered
    assert conformal.rank(n, float(offered[1]), delta) == n


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_chances_outside_0_and_1_are_refused(delta: float) -> None:
    """Contract: nan is not a chance either."""
    with pytest.raises(InvalidSpecError, match=r"delta .*between 0 and 1, got"):
        conformal.threshold(np.arange(1000, dtype=float), 0.1, delta)


def test_the_statement_with_delta_names_all_three() -> None:
    """Contract: what is promised can be checked by a person."""
    said = conformal.statement(99, 0.05, 0.1)

    assert "probability at least 0.9 over the draw of the 99 calibration images" in said
    assert "at most 5 % of new normal images" in said
