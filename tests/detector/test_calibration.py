"""Calibration scores with their groups, and shares of images with their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from detector.calibration import Calibration, Share
from detector.errors import InvalidSpecError


@given(n=st.integers(1, 300), share=st.floats(0, 1))
def test_intervals_equal_the_exact_ones(n: int, share: float) -> None:
    """Reference: scipy's Clopper-Pearson interval."""
    counted = Share(round(share * n), n)

    expected = binomtest(counted.count, n).proportion_ci(0.95, method="exact")

    np.testing.assert_allclose(counted.interval, (expected.low, expected.high), atol=1e-10)
    assert counted.interval[0] <= counted.rate <= counted.interval[1]


def test_a_share_of_nothing_is_unknown() -> None:
    """Contract: no rate, an interval that says nothing, and words."""
    assert np.isnan(Share(0, 0).rate)
    assert Share(0, 0).interval == (0.0, 1.0)
    assert str(Share(3, 99)) == "3 of 99"


def test_scores_keep_their_order_and_groups_their_images() -> None:
    """Contract: sorted beside, never in place; unknown groups are no group."""
    calibration = Calibration(np.array([3.0, 1.0, 2.0, 5.0]), ("b", "a", "b", ""))

    assert calibration.scores.tolist() == [3, 1, 2, 5]
    assert calibration.ascending.tolist() == [1, 2, 3, 5]
    assert calibration.names == ("a", "b")
    assert calibration.masks["b"].tolist() == [True, False, True, False]
    assert calibration.of("b").scores.tolist() == [3, 2]
    assert str(calibration.above(2.0)) == "2 of 4"
    assert str(calibration.detected(2.0)) == "0 of 0"


def test_without_groups_there_are_none() -> None:
    """Contract: all unknown, one way or the other."""
    assert Calibration(np.ones(3)).names == ()
    assert Calibration(np.ones(3), ("", "", "")).names == ()
    assert len(Calibration(np.zeros(0))) == 0


def test_a_calibration_does_not_change_with_what_it_was_made_of() -> None:
    """Law: it is a value."""
    scores = np.array([1.0, 2.0])
    calibration = Calibration(scores)
    scores[0] = 9

    assert calibration.scores.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        calibration.scores[0] = 9


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e301])
@pytest.mark.parametrize("where", ["scores", "anomalies"])
def test_numbers_that_are_none_are_refused(where: str, number: float) -> None:
    """Contract: the message says which."""
    given_scores = {"scores": np.ones(2), "anomalies": np.ones(2)} | {where: np.array([1, number])}

    with pytest.raises(InvalidSpecError, match=where):
        Calibration(**given_scores)


def test_what_does_not_fit_together_is_refused() -> None:
    """Contract: groups are one per score; the rest of the score is a number."""
    with pytest.raises(InvalidSpecError, match="3 scores, but 2 groups"):
        Calibration(np.ones(3), ("a", "b"))
    with pytest.raises(InvalidSpecError, match="elsewhere"):
        Calibration(np.ones(3), elsewhere=np.nan)
