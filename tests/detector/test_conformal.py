"""The conformal threshold: a naive twin in exact arithmetic, and its promise, counted out."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import beta

from detector import conformal
from detector.errors import InsufficientCalibrationError, InvalidSpecError

THOUSANDTHS = st.integers(1, 999)
"""Targets as a person types them: 0.001 to 0.999, exact as fractions."""

TIED = st.lists(st.integers(0, 8), min_size=1, max_size=150)
"""Scores of few values, so with many ties."""


def exact_least(alpha: Fraction) -> int:
    """Return the smallest n with 1 / (n + 1) <= alpha."""
    return math.ceil(1 / alpha) - 1


def exact_rank(n: int, alpha: Fraction) -> int:
    """Return ceil((n + 1)(1 - alpha)), as it stands in the paper."""
    return math.ceil((n + 1) * (1 - alpha))


def p_value(score: float, others: list[float]) -> Fraction:
    """Return the p-value by counting."""
    return Fraction(1 + sum(other >= score for other in others), len(others) + 1)


def floats(scores: list[int]) -> NDArray[np.float64]:
    """Return scores as an array, in the order given."""
    return np.array(scores, dtype=np.float64)


@given(scores=TIED, thousandths=THOUSANDTHS)
def test_threshold_equals_the_naive_one(scores: list[int], thousandths: int) -> None:
    """Reference: sort, then take the k-th, with k in exact arithmetic."""
    alpha = Fraction(thousandths, 1000)
    assume(len(scores) >= exact_least(alpha))

    expected = sorted(scores)[exact_rank(len(scores), alpha) - 1]

    assert conformal.threshold(floats(scores), thousandths / 1000) == expected


@pytest.mark.parametrize("parts", [100, 1000])
def test_ranks_of_round_targets_are_exact(parts: int) -> None:
    """Reference: exact arithmetic, for every percentage and permillage: 0.29 * 100 is no trap."""
    counts = range(1, 301) if parts == 100 else (199, 399, 499, 999, 1999, 9999)
    for part in range(1, parts):
        alpha = Fraction(part, parts)
        assert conformal.least_images(part / parts) == exact_least(alpha)
        for n in counts:
            if n >= exact_least(alpha):
                assert conformal.rank(n, part / parts) == exact_rank(n, alpha), (n, part)


def test_floating_traps() -> None:
    """Reference: worked by hand, where n + 1 times the target is whole but its float is not."""
    assert math.floor(0.29 * 100) == 28  # the trap
    assert conformal.rank(99, 0.29) == 71
    assert math.ceil(1 / 0.07 * 0.07 * 100 / 7) - 1 == 14
    assert conformal.rank(99, 0.07) == 93
    assert conformal.least_images(0.05) == 19
    assert conformal.rank(19, 0.05) == 19
    assert conformal.least_images(1 / 49) == 48  # 1 / (1 / 49) is above 49
    assert conformal.rank(48, 1 / 49) == 48


@given(n=st.integers(1, 100_000))
def test_one_over_n_plus_one_is_supported(n: int) -> None:
    """Law: n images support the rate 1 / (n + 1), whose line is the highest score."""
    assert conformal.rank(n, 1 / (n + 1)) == n


@given(scores=TIED, score=st.integers(-1, 9), thousandths=THOUSANDTHS)
def test_flagged_means_p_value_at_most_alpha(
    scores: list[int], score: int, thousandths: int
) -> None:
    """Law: s > threshold if and only if p <= alpha, with ties, exactly and as computed."""
    alpha = thousandths / 1000
    assume(len(scores) >= exact_least(Fraction(thousandths, 1000)))

    flagged = score > conformal.threshold(floats(scores), alpha)
    computed = conformal.p_values(floats([score]), np.sort(floats(scores)))[0]

    exact = p_value(score, list(scores))
    assert computed == float(exact)
    assert flagged == (exact <= Fraction(thousandths, 1000))
    assert flagged == (computed <= alpha)


@given(scores=TIED, score=st.integers(-1, 9), alpha=st.floats(0, 1, exclude_min=True))
def test_flagged_means_p_value_at_most_any_alpha(
    scores: list[int], score: int, alpha: float
) -> None:
    """Law: the same for targets that nobody types, but within rounding of a whole count."""
    n = len(scores)
    assume(0 < alpha < 1 and n + 1 >= 1 / alpha)
    assume(abs(alpha * (n + 1) - round(alpha * (n + 1))) > 1e-8)

    flagged = score > conformal.threshold(floats(scores), alpha)

    assert flagged == (conformal.p_values(floats([score]), np.sort(floats(scores)))[0] <= alpha)


@given(scores=st.lists(st.integers(0, 8), min_size=2, max_size=60), thousandths=THOUSANDTHS)
def test_the_promise_holds_over_every_choice_of_the_new_image(
    scores: list[int], thousandths: int
) -> None:
    """Law: of n + 1 exchangeable scores, at most alpha (n + 1) are flagged against the others."""
    alpha = Fraction(thousandths, 1000)
    assume(len(scores) - 1 >= exact_least(alpha))

    flagged = leave_one_out(scores, thousandths / 1000)

    assert flagged <= alpha * len(scores)


@given(n=st.integers(2, 60), seed=st.integers(0, 99), thousandths=THOUSANDTHS)
def test_the_promise_is_not_wasted(n: int, seed: int, thousandths: int) -> None:
    """Law: without ties exactly floor(alpha (n + 1)) are flagged, so no lower line would do."""
    alpha = Fraction(thousandths, 1000)
    assume(n - 1 >= exact_least(alpha))
    scores = [int(s) for s in np.random.default_rng(seed).permutation(n)]

    assert leave_one_out(scores, thousandths / 1000) == math.floor(alpha * n)


def leave_one_out(scores: list[int], alpha: float) -> int:
    """Return how many scores lie above the threshold of all the others."""
    return sum(
        score > conformal.threshold(floats(scores[:i] + scores[i + 1 :]), alpha)
        for i, score in enumerate(scores)
    )


@given(scores=TIED, seed=st.integers(0, 99))
def test_the_order_of_the_scores_does_not_matter(scores: list[int], seed: int) -> None:
    """Law: a threshold belongs to a set; the scores handed in are left as they were."""
    given_scores = floats(scores)
    shuffled = np.random.default_rng(seed).permutation(given_scores)

    assert conformal.threshold(given_scores, 0.5) == conformal.threshold(shuffled, 0.5)
    np.testing.assert_array_equal(given_scores, floats(scores))


@given(scores=TIED, new=TIED)
def test_p_values_equal_counting(scores: list[int], new: list[int]) -> None:
    """Reference: a naive twin; in (0, 1], and never larger for a larger score."""
    p = conformal.p_values(floats(new), np.sort(floats(scores)))

    np.testing.assert_array_equal(p, [float(p_value(score, list(scores))) for score in new])
    assert (p > 0).all()
    assert (p <= 1).all()
    assert (np.diff(p[np.argsort(new)]) <= 0).all()


@pytest.mark.parametrize(("n", "alpha", "least"), [(98, 0.01, 99), (18, 0.05, 19), (0, 0.5, 1)])
def test_too_few_images_are_refused_with_the_number_that_would_do(
    n: int, alpha: float, least: int
) -> None:
    """Contract: the message names both numbers; one image more and it is accepted."""
    with pytest.raises(InsufficientCalibrationError, match=rf"at least {least} .*there are {n};"):
        conformal.threshold(np.arange(n, dtype=float), alpha)

    assert conformal.threshold(np.arange(least, dtype=float), alpha) == least - 1


@pytest.mark.parametrize("n", [1, 2, 5, 6, 12, 18, 1000])
def test_the_rate_that_the_refusal_offers_is_accepted(n: int) -> None:
    """Contract: who follows the message's advice is not refused again."""
    with pytest.raises(InsufficientCalibrationError) as refusal:
        conformal.rank(n, 1e-6)

    offered = re.search(r"the smallest rate \d+ can support is (\S+)$", str(refusal.value))

    assert offered
    assert conformal.rank(n, float(Fraction(offered[1]))) == n


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf, -math.inf])
def test_targets_outside_0_and_1_are_refused(alpha: float) -> None:
    """Contract: nan is not a target either."""
    with pytest.raises(InvalidSpecError, match=r"between 0 and 1, got"):
        conformal.threshold(np.arange(1000, dtype=float), alpha)


@pytest.mark.parametrize("alpha", [5e-324, 1e-310, 1e-300, 1e-12])
def test_tiny_targets_are_refused_as_any_other(alpha: float) -> None:
    """Contract: 1 / alpha may overflow, the answer is a refusal all the same."""
    with pytest.raises((InvalidSpecError, InsufficientCalibrationError)):
        conformal.threshold(np.arange(1000, dtype=float), alpha)


@pytest.mark.parametrize("alpha", [0.5, 0.999, 1 - 1e-10, 1 - 2**-53])
def test_no_scores_support_no_target(alpha: float) -> None:
    """Contract: at least one image is needed, however lax the target."""
    with pytest.raises(InsufficientCalibrationError, match="at least 1 "):
        conformal.threshold(np.zeros(0), alpha)


def test_the_statement_names_count_and_rate() -> None:
    """Contract: what is promised can be checked by a person."""
    assert "the 99 calibration images, at most 29 % are" in conformal.statement(99, 0.29)
    assert "at most 0.5 % are" in conformal.statement(400, 0.005)


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
