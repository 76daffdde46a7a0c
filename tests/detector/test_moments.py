"""Moments: what NumPy computes from all rows, merged and forgotten without them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.moments import Moments

Rows = NDArray[np.float64]

SEEDS = st.integers(0, 2**32 - 1)
WIDTHS = st.integers(1, 6)
COUNTS = st.integers(0, 30)
SHIFTS = st.floats(-1e6, 1e6)


def rows_of(seed: int, counts: list[int], d: int, shift: float) -> list[Rows]:
    """Return sets of correlated rows of unit size, all moved by one shift."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(d, d))
    return [rng.normal(size=(n, d)) @ mixing + shift for n in counts]


def assert_same(actual: Moments, expected: Moments, seen: Moments, rtol: float = 1e-8) -> None:
    """Compare two moments; ``rtol`` is relative to all that was seen."""
    assert actual.n == expected.n
    size = max(float(np.abs(seen.scatter).max()), 1.0)
    np.testing.assert_allclose(actual.mean, expected.mean, rtol=1e-12, atol=1e-12 * size)
    np.testing.assert_allclose(actual.scatter, expected.scatter, rtol=0, atol=rtol * size)


@given(seed=SEEDS, n=st.integers(2, 40), d=WIDTHS, shift=SHIFTS)
def test_mean_and_scatter_equal_numpy(seed: int, n: int, d: int, shift: float) -> None:
    """Reference: numpy mean and cov, n times; float64."""
    (rows,) = rows_of(seed, [n], d, shift)

    actual = Moments.of(rows)

    expected = Moments(
        n, rows.mean(axis=0), n * np.cov(rows, rowvar=False, bias=True).reshape(d, d)
    )
    assert_same(actual, expected, expected)


@given(seed=SEEDS, n=st.integers(1, 12), d=st.integers(1, 4))
def test_scatter_equals_a_sum_of_outer_products(seed: int, n: int, d: int) -> None:
    """Reference: a naive twin, row by row."""
    (rows,) = rows_of(seed, [n], d, 3.0)
    mean = sum(rows) / n
    expected = sum(np.outer(row - mean, row - mean) for row in rows)

    np.testing.assert_allclose(Moments.of(rows).scatter, expected, rtol=1e-10, atol=1e-10)


def test_float32_rows_are_summed_in_float64() -> None:
    """Reference: the same rows widened first; a float32 sum would be off by far more."""
    rows = np.random.default_rng(0).normal(1000, 1, size=(5000, 3)).astype(np.float32)

    actual, expected = Moments.of(rows), Moments.of(rows.astype(np.float64))

    assert actual.mean.dtype == actual.scatter.dtype == np.float64
    np.testing.assert_array_equal(actual.mean, expected.mean)
    np.testing.assert_array_equal(actual.scatter, expected.scatter)


@given(seed=SEEDS, n=COUNTS, m=COUNTS, d=WIDTHS, shift=SHIFTS)
def test_merged_parts_equal_the_whole(seed: int, n: int, m: int, d: int, shift: float) -> None:
    """Law: split + merge = whole."""
    a, b = rows_of(seed, [n, m], d, shift)
    whole = Moments.of(np.concatenate([a, b]))

    assert_same(Moments.of(a) + Moments.of(b), whole, whole)


@given(seed=SEEDS, n=st.integers(1, 30), m=st.integers(1, 30), gap=SHIFTS)
def test_merged_parts_far_apart_equal_the_whole(seed: int, n: int, m: int, gap: float) -> None:
    """Law: split + merge = whole, where the parts have different means."""
    a, b = rows_of(seed, [n, m], 3, 0.0)
    whole = Moments.of(np.concatenate([a, b + gap]))

    assert_same(Moments.of(a) + Moments.of(b + gap), whole, whole)


@given(seed=SEEDS, counts=st.tuples(COUNTS, COUNTS, COUNTS), d=WIDTHS, shift=SHIFTS)
def test_merging_is_associative_and_commutative(
    seed: int, counts: tuple[int, int, int], d: int, shift: float
) -> None:
    """Law: a + b = b + a and (a + b) + c = a + (b + c), up to rounding."""
    a, b, c = (Moments.of(rows) for rows in rows_of(seed, list(counts), d, shift))
    whole = (a + b) + c

    assert_same(a + b, b + a, whole)
    assert_same(a + (b + c), whole, whole)


@given(seed=SEEDS, n=COUNTS, d=WIDTHS, shift=SHIFTS)
def test_empty_is_the_identity(seed: int, n: int, d: int, shift: float) -> None:
    """Law: a + empty = empty + a = a - empty = a, bit by bit for all but a mean's last bit."""
    some, empty = Moments.of(rows_of(seed, [n], d, shift)[0]), Moments.empty(d)

    for same in (some + empty, empty + some, some - empty):
        assert same.n == some.n
        np.testing.assert_allclose(same.mean, some.mean, rtol=1e-15)
        np.testing.assert_array_equal(same.scatter, some.scatter)


def test_no_rows_give_the_empty_moments() -> None:
    """Law: of(no rows) = empty."""
    assert_same(Moments.of(np.zeros((0, 4))), Moments.empty(4), Moments.empty(4))


@given(seed=SEEDS, n=st.integers(1, 30), m=COUNTS, d=WIDTHS, shift=SHIFTS)
def test_forgotten_equals_never_seen(seed: int, n: int, m: int, d: int, shift: float) -> None:
    """Law: (a + b) - b = a, to 1e-8 of what was seen."""
    a, b = (Moments.of(rows) for rows in rows_of(seed, [n, m], d, shift))

    assert_same((a + b) - b, a, a + b)


@given(seed=SEEDS, n=COUNTS, d=WIDTHS, shift=SHIFTS)
def test_forgetting_everything_leaves_nothing(seed: int, n: int, d: int, shift: float) -> None:
    """Law: a - a = empty, exactly."""
    some = Moments.of(rows_of(seed, [n], d, shift)[0])

    nothing = some - some

    assert nothing.n == 0
    assert not nothing.mean.any()
    assert not nothing.scatter.any()


@given(seed=SEEDS, n=st.integers(1, 30), m=st.integers(1, 30), d=WIDTHS, shift=SHIFTS)
def test_scatter_stays_symmetric(seed: int, n: int, m: int, d: int, shift: float) -> None:
    """Law: merged and forgotten scatters are exactly symmetric: a file holds only one triangle."""
    a, b = (Moments.of(rows.astype(np.float32)) for rows in rows_of(seed, [n, m], d, shift))

    for part in (a, a + b, (a + b) - b):
        np.testing.assert_array_equal(part.scatter, part.scatter.T)


def test_forgetting_more_than_was_seen_is_refused() -> None:
    """Contract: counts are named."""
    with pytest.raises(ValueError, match="cannot forget 3 rows of 2"):
        Moments.of(np.eye(2)) - Moments.of(np.ones((3, 2)))


@pytest.mark.parametrize("operation", ["__add__", "__sub__"])
def test_rows_of_another_width_are_refused(operation: str) -> None:
    """Contract: both widths are named; empty moments have a width too."""
    for other in (Moments.of(np.eye(3)), Moments.empty(3)):
        with pytest.raises(ValueError, match="width 3 do not fit width 2"):
            getattr(Moments.of(np.eye(2)), operation)(other)


def test_operands_are_left_alone() -> None:
    """Contract: moments are values."""
    a, b = (Moments.of(rows) for rows in rows_of(1, [7, 5], 3, 2.0))
    before = [(m.n, m.mean.copy(), m.scatter.copy()) for m in (a, b)]

    _ = (a + b) - b

    for part, (n, mean, scatter) in zip((a, b), before, strict=True):
        assert part.n == n
        np.testing.assert_array_equal(part.mean, mean)
        np.testing.assert_array_equal(part.scatter, scatter)
    with pytest.raises(dataclasses.FrozenInstanceError):
        a.n = 3  # type: ignore[misc]
