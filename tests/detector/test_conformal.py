"""The conformal threshold: a naive twin in exact arithmetic, and its promise, counted out."""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

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
