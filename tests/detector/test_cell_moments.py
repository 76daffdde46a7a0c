"""Moments of a grid: what NumPy computes cell by cell, merged and forgotten without the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.cell_moments import CellMoments
from detector.moments import Moments

Rows = NDArray[np.float64]

SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(0, 12)
SHIFTS = st.sampled_from([0.0, 1.0, -1e3, 1e6])
MISSING = st.sampled_from([0.0, 0.3, 0.9])
K, D = 16, 3
SQUARES = [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
"""Cells of each square of 2 x 2 in a grid of 4 x 4."""


def rows_of(seed: int, n: int, shift: float = 0.0, missing: float = 0.0) -> Rows:
    """Return correlated rows of n images, some of whose cells are outside the region (NaN)."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, K, D)) @ rng.normal(size=(D, D)) + rng.normal(size=(K, D)) + shift
    rows[rng.random((n, K)) < missing] = np.nan
    return rows


def assert_same(
    actual: CellMoments, expected: CellMoments, seen: CellMoments, rtol: float = 1e-8
) -> None:
    """Compare moments; ``rtol`` is relative to all that was seen."""
    assert actual.n == expected.n
    np.testing.assert_array_equal(actual.counts, expected.counts)
    size = max(float(np.abs(seen.scatter).max()), 1.0)
    level = max(float(np.abs(seen.mean).max()), 1.0)
    np.testing.assert_allclose(actual.mean, expected.mean, rtol=0, atol=1e-10 * level)
    np.testing.assert_allclose(actual.scatter, expected.scatter, rtol=0, atol=rtol * size)


@given(seed=SEEDS, n=st.integers(2, 12), shift=SHIFTS, missing=MISSING)
def test_cells_have_numpys_mean_and_squares_their_scatter(
    seed: int, n: int, shift: float, missing: float
) -> None:
    """Reference: numpy mean and cov of the rows that are inside, cell by cell, then summed."""
    rows = rows_of(seed, n, shift, missing)
    scatters = np.zeros((K, D, D))

    actual = CellMoments.of(rows)

    assert actual.n == n
    for cell in range(K):
        inside = rows[~np.isnan(rows[:, cell, 0]), cell]
        assert actual.counts[cell] == len(inside)
        if len(inside):
            np.testing.assert_allclose(actual.mean[cell], inside.mean(axis=0), rtol=1e-12)
        else:
            assert not actual.mean[cell].any()
        if len(inside) > 1:
            scatters[cell] = np.cov(inside.T) * (len(inside) - 1)
    for square, cells in enumerate(SQUARES):
        expected = scatters[cells].sum(axis=0)
        np.testing.assert_allclose(actual.scatter[square], expected, rtol=1e-8, atol=1e-8)
        freedom = sum(max(actual.counts[cell] - 1, 0) for cell in cells)
        assert actual.freedom[square] == freedom


@given(seed=SEEDS, n=st.integers(1, 12), missing=MISSING)
def test_within_and_free_equal_naive_sums(seed: int, n: int, missing: float) -> None:
    """Reference: the sums of the module's docstring, row by row; ``free`` is Moments.of rows."""
    rows = rows_of(seed, n, 2.0, missing)
    within, degrees = np.zeros((D, D)), 0
    for cell in range(K):
        inside = [row for row in rows[:, cell] if not np.isnan(row[0])]
        if inside:
            mean = sum(inside) / len(inside)
            within += sum(np.outer(row - mean, row - mean) for row in inside)
            degrees += len(inside) - 1
    every = rows.reshape(-1, D)
    free = Moments.of(every[~np.isnan(every[:, 0])])

    actual = CellMoments.of(rows)

    assert actual.within.n == degrees
    assert not actual.within.mean.any()
    np.testing.assert_allclose(actual.within.scatter, within, rtol=1e-9, atol=1e-9)
    assert actual.free.n == free.n
    np.testing.assert_allclose(actual.free.mean, free.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(actual.free.scatter, free.scatter, rtol=1e-9, atol=1e-9)


@given(seed=SEEDS, n=COUNTS, m=COUNTS, shift=SHIFTS, gap=SHIFTS, missing=MISSING)
def test_merged_parts_equal_the_whole(
    seed: int, n: int, m: int, shift: float, gap: float, missing: float
) -> None:
    """Law: split + merge = whole, where the parts have different means and other cells too."""
    a, b = rows_of(seed, n, shift, missing), rows_of(seed + 1, m, shift + gap, missing)
    whole = CellMoments.of(np.concatenate([a, b]))

    assert_same(CellMoments.of(a) + CellMoments.of(b), whole, whole)


@given(seed=SEEDS, counts=st.tuples(COUNTS, COUNTS, COUNTS), shift=SHIFTS, missing=MISSING)
def test_the_order_of_merging_does_not_matter(
    seed: int, counts: tuple[int, int, int], shift: float, missing: float
) -> None:
    """Law: a + b = b + a and (a + b) + c = a + (b + c), up to rounding."""
    a, b, c = (
        CellMoments.of(rows_of(seed + i, n, i * shift, missing)) for i, n in enumerate(counts)
    )
    whole = (a + b) + c

    assert_same(a + b, b + a, whole)
    assert_same(a + (b + c), whole, whole)


@given(seed=SEEDS, n=COUNTS, shift=SHIFTS, missing=MISSING)
def test_empty_is_neutral(seed: int, n: int, shift: float, missing: float) -> None:
    """Law: a + empty = empty + a = a - empty = a."""
    some, empty = CellMoments.of(rows_of(seed, n, shift, missing)), CellMoments.empty(K, D)

    for same in (some + empty, empty + some, some - empty):
        assert_same(same, some, some, rtol=1e-15)


@given(seed=SEEDS, n=COUNTS, m=COUNTS, shift=SHIFTS, missing=MISSING)
def test_forgotten_equals_never_seen(
    seed: int, n: int, m: int, shift: float, missing: float
) -> None:
    """Law: (a + b) - b = a, to 1e-8 of what was seen; a - a is nothing, exactly."""
    a, b = (
        CellMoments.of(rows_of(seed + i, count, shift, missing)) for i, count in enumerate((n, m))
    )

    assert_same((a + b) - b, a, a + b)
    nothing = a - a
    assert nothing.n == 0
    assert not any(part.any() for part in (nothing.counts, nothing.mean, nothing.scatter))


@given(seed=SEEDS, n=st.integers(1, 12), m=st.integers(2, 12), shift=SHIFTS, missing=MISSING)
def test_what_no_freedom_is_left_of_has_no_scatter(
    seed: int, n: int, m: int, shift: float, missing: float
) -> None:
    """Law: forgotten in portions, down to one row a cell or none, nothing of rounding stays."""
    one = rows_of(seed, 1, shift, missing)
    a, b = (
        CellMoments.of(rows_of(seed + i, count, shift, missing)) for i, count in enumerate((n, m))
    )

    left = CellMoments.of(one) + a + b - a - b

    assert not left.freedom.any()
    assert not left.scatter.any()
    assert not left.mean[left.counts == 0].any()


@given(seed=SEEDS, n=COUNTS, m=COUNTS, shift=SHIFTS, missing=MISSING)
def test_scatters_stay_symmetric(seed: int, n: int, m: int, shift: float, missing: float) -> None:
    """Law: merged and forgotten scatters are exactly symmetric: a file holds one triangle."""
    a, b = (
        CellMoments.of(rows_of(seed + i, count, shift, missing)) for i, count in enumerate((n, m))
    )

    for part in (a, a + b, (a + b) - b):
        np.testing.assert_array_equal(part.scatter, part.scatter.transpose(0, 2, 1))


def test_float32_rows_are_summed_in_float64_whatever_their_order_in_memory() -> None:
    """Law: the same bits from float32 and from float64, from C and from Fortran order."""
    rows = np.random.default_rng(0).normal(1000, 1, size=(500, K, D)).astype(np.float32)
    expected = CellMoments.of(rows.astype(np.float64))

    for same in (rows, np.asfortranarray(rows), rows[::-1][::-1]):
        actual = CellMoments.of(same)
        assert actual.mean.dtype == actual.scatter.dtype == np.float64
        assert actual.mean.tobytes() == expected.mean.tobytes()
        assert actual.free.scatter.tobytes() == expected.free.scatter.tobytes()


def test_what_does_not_fit_is_refused() -> None:
    """Contract: other grids and widths by their shapes; forgetting more than was seen."""
    some = CellMoments.of(rows_of(0, 3))
    for other in (CellMoments.empty(4, D), CellMoments.empty(K, D + 1)):
        with pytest.raises(
            ValueError, match=rf"cells of \(16, 3\) do not fit .*{other.mean.shape[0]}"
        ):
            _ = other + some
        with pytest.raises(ValueError, match="do not fit"):
            _ = other - some
    with pytest.raises(ValueError, match="cannot forget 4 images of 3"):
        _ = some - CellMoments.of(rows_of(1, 4))
    for odd in (3, 9, 12):
        with pytest.raises(ValueError, match=f"{odd} cells are no grid of squares of 2 x 2"):
            CellMoments.empty(odd, D)
    partly = rows_of(0, 3)
    partly[:, 0] = np.nan
    with pytest.raises(ValueError, match="cannot forget 3 images of 3"):
        _ = CellMoments.of(partly) - some
