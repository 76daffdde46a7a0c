"""Benjamini-Hochberg on a batch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from detector.conformal import p_values
from detector.errors import InvalidSpecError
from detector.multiple_testing import benjamini_hochberg

BATCH = st.lists(st.integers(0, 100), min_size=1, max_size=60)
"""p-values as hundredths: with ties, zeros and ones."""


@given(hundredths=BATCH)
def test_adjusted_values_equal_scipys(hundredths: list[int]) -> None:
    """Reference: scipy.stats.false_discovery_control."""
    given_values = np.array(hundredths) / 100

    adjusted = benjamini_hochberg(given_values, 0.1).adjusted

    np.testing.assert_allclose(np.minimum(adjusted, 1), false_discovery_control(given_values))


@given(hundredths=BATCH, percent=st.integers(1, 99))
def test_flagged_equals_the_step_up_procedure(hundredths: list[int], percent: int) -> None:
    """Reference: a naive twin in whole numbers: the largest i with p_(i) <= i rate / b."""
    b, ascending = len(hundredths), sorted(hundredths)
    fitting = [i for i in range(1, b + 1) if ascending[i - 1] * b <= i * percent]
    limit = ascending[fitting[-1] - 1] if fitting else -1

    flagged = benjamini_hochberg(np.array(hundredths) / 100, percent / 100).flagged

    assert flagged.tolist() == [value <= limit for value in hundredths]


def test_false_discoveries_of_conformal_p_values_are_as_few_as_promised() -> None:
    """Law: over 2,000 calibrations, the mean share of false flags is at most rate x normal share.

    And the procedure flags: an empty answer would keep any promise.
    """
    rng, shares, found = np.random.default_rng(0), [], []
    for _ in range(2_000):
        calibration = np.sort(rng.normal(size=200))
        batch = np.concatenate([rng.normal(size=40), rng.normal(4, 1, size=10)])
        flagged = benjamini_hochberg(p_values(batch, calibration), 0.2).flagged
        shares.append(flagged[:40].sum() / max(flagged.sum(), 1))
        found.append(flagged[40:].mean())

    assert np.mean(shares) <= 0.2 * 0.8 + 3 * np.std(shares) / np.sqrt(2_000)
    assert np.mean(shares) > 0.1
    assert np.mean(found) > 0.8


def test_a_lone_odd_image_needs_a_calibration_larger_than_its_batch() -> None:
    """Law: b / (n + 1) <= rate, exactly."""
    batch = np.array([9.0, *np.zeros(9)])
    for n, flagged in ((98, False), (99, True)):
        p = p_values(batch, np.linspace(-1, 1, n))
        assert benjamini_hochberg(p, 0.1).flagged.tolist() == [flagged] + [False] * 9


def test_an_empty_batch_has_no_decisions() -> None:
    """Contract: nothing in, nothing out."""
    assert benjamini_hochberg(np.zeros(0), 0.1).flagged.shape == (0,)


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_what_is_no_p_value_is_refused(value: float) -> None:
    """Contract: the message says what one is."""
    with pytest.raises(InvalidSpecError, match="from 0 to 1"):
        benjamini_hochberg(np.array([0.5, value]), 0.1)


@pytest.mark.parametrize("rate", [0.0, 1.0, np.nan])
def test_what_is_no_rate_is_refused(rate: float) -> None:
    """Contract: as for any other rate."""
    with pytest.raises(InvalidSpecError, match="false-discovery rate"):
        benjamini_hochberg(np.array([0.5]), rate)


def test_a_p_value_at_its_limit_is_flagged_whatever_the_rounding() -> None:
    """Reference: worked by hand; p_(1) = rate / 3 of a batch of three, but 0.05 * 3 > 0.15."""
    assert 0.05 * 3 > 0.15  # the trap

    decisions = benjamini_hochberg(np.array([0.05, 1.0, 1.0]), 0.15)

    assert decisions.flagged.tolist() == [True, False, False]
