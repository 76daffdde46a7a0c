"""OAS: scikit-learn's, from moments alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.covariance import oas as sklearn_oas

from detector.errors import DegenerateDataError
from detector.moments import Moments
from detector.shrinkage import oas

SEEDS = st.integers(0, 2**32 - 1)


def correlated(seed: int, n: int, d: int) -> NDArray[np.float64]:
    """Return rows whose channels differ in size and depend on each other."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) * rng.uniform(0.1, 10, size=d)


@given(seed=SEEDS, n=st.integers(2, 60), d=st.integers(2, 40))
def test_covariance_and_shrinkage_equal_scikit_learn(seed: int, n: int, d: int) -> None:
    """Reference: sklearn.covariance.oas, with fewer rows than channels too."""
    rows = correlated(seed, n, d)
    expected_covariance, expected_rho = sklearn_oas(rows)

    covariance, rho = oas(Moments.of(rows))

    assert rho == pytest.approx(expected_rho, rel=1e-9)
    size = np.abs(expected_covariance).max()
    np.testing.assert_allclose(covariance, expected_covariance, rtol=1e-9, atol=1e-12 * size)


def test_one_channel_keeps_its_variance() -> None:
    """Reference: sklearn.covariance.oas, which calls rho 0 where any rho gives the same."""
    rows = correlated(0, 9, 1)

    covariance, _ = oas(Moments.of(rows))

    np.testing.assert_allclose(covariance, sklearn_oas(rows)[0].reshape(1, 1), rtol=1e-12)


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e5, -1e5])
def test_an_offset_changes_nothing(offset: float) -> None:
    """Reference: scikit-learn on the rows without the offset, which centres away."""
    rows = correlated(3, 30, 8) / 10
    expected_covariance, expected_rho = sklearn_oas(rows)

    covariance, rho = oas(Moments.of(rows + offset))

    assert rho == pytest.approx(expected_rho, rel=1e-6)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=0, atol=1e-6)


@given(seed=SEEDS, n=st.integers(1, 30), m=st.integers(1, 30), d=st.integers(2, 20))
def test_merged_moments_give_the_same(seed: int, n: int, m: int, d: int) -> None:
    """Law: OAS knows (n, d, scatter) only, so it is exact after merge and forget."""
    rows, seen = correlated(seed, n + m, d), correlated(seed + 1, 5, d)
    merged = Moments.of(rows[:n]) + Moments.of(seen) + Moments.of(rows[n:]) - Moments.of(seen)
    expected_covariance, expected_rho = oas(Moments.of(rows))

    covariance, rho = oas(merged)

    size = np.abs(seen).max() ** 2 + np.abs(expected_covariance).max()
    assert rho == pytest.approx(expected_rho, rel=1e-6)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=0, atol=1e-8 * size)


@given(seed=SEEDS, n=st.integers(2, 20), d=st.integers(2, 40), constant=st.integers(0, 39))
def test_a_shrunk_covariance_has_an_inverse(seed: int, n: int, d: int, constant: int) -> None:
    """Law: rho in [0, 1] and positive definite, with few rows and with constant channels."""
    rows = correlated(seed, n, d)
    rows[:, : min(constant, d - 1)] = 7.0

    covariance, rho = oas(Moments.of(rows))

    assert 0 <= rho <= 1
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_moments_are_left_alone() -> None:
    """Contract: the scatter is read, never shrunk in place."""
    moments = Moments.of(correlated(4, 20, 3))
    scatter = moments.scatter.copy()

    oas(moments)

    np.testing.assert_array_equal(moments.scatter, scatter)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_are_refused(n: int) -> None:
    """Contract: the message says how many there are and how many it takes."""
    with pytest.raises(DegenerateDataError, match=rf"^{n} image.*at least 2"):
        oas(Moments.of(correlated(5, n, 4)))


@pytest.mark.parametrize("value", [0.0, 1e-3, 0.1, 255.0, 1e6])
def test_equal_rows_are_refused(value: float) -> None:
    """Contract: rows that differ by rounding only do not vary."""
    rows = np.full((20, 4), value) * [1, 1 / 3, 7, 0]

    with pytest.raises(DegenerateDataError, match="the 20 fitted rows do not vary"):
        oas(Moments.of(rows))


def test_rows_equal_up_to_float32_rounding_are_refused() -> None:
    """Contract: one image seen in batches of several sizes is still one image."""
    rng = np.random.default_rng(6)
    row = rng.uniform(0.5, 2, size=16)
    rows = (row * (1 + 1e-7 * rng.uniform(-1, 1, size=(20, 16)))).astype(np.float32)

    with pytest.raises(DegenerateDataError, match="do not vary"):
        oas(Moments.of(rows))


def test_equal_rows_are_refused_however_they_were_merged() -> None:
    """Contract: merging and forgetting leave no variation that was not there."""
    row = np.random.default_rng(7).uniform(0, 3, size=(1, 16)).astype(np.float32)
    merged = Moments.of(row)
    for _ in range(99):
        merged = merged + Moments.of(row)
    other = Moments.of(row + 1)

    for moments in (merged, merged + other - other):
        with pytest.raises(DegenerateDataError, match="do not vary"):
            oas(moments)


def test_duplicates_beside_a_different_row_are_accepted() -> None:
    """Reference: scikit-learn; one different row is variation."""
    rows = np.repeat(correlated(8, 1, 5), 10, axis=0)
    rows[3] += 1.0

    covariance, rho = oas(Moments.of(rows))

    expected_covariance, expected_rho = sklearn_oas(rows)
    assert rho == pytest.approx(expected_rho)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=1e-9)
