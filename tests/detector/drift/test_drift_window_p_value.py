"""Statistics and p-values of windows, against SciPy, naive twins and all splits there are."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from detector.drift.window_p_value import PValue, least, p_value, shares, splits_for
from detector.drift.window_space import Whitening
from detector.drift.window_statistics import STATISTICS, Pool
from detector.errors import InvalidSpecError


def pool_of(seed: int, size: int, window: int, shift: float = 0.0) -> tuple[Pool, np.ndarray]:
    """Return a pool of two coordinates, which are the channels too, and scores with ties."""
    rng = np.random.default_rng(seed)
    rows = rng.gamma(2, size=(size, 2))
    rows[size - window :] += shift
    scores = rows.sum(axis=1).round(1)
    return Pool(rows, rows, scores, window), np.column_stack([rows, scores])


def naive(data: np.ndarray, inside: list[int]) -> list[float]:
    """Return the four statistics with loops."""
    rows, scores = data[:, :2], data[:, 2]
    outside = [i for i in range(len(data)) if i not in inside]
    white = Whitening.of(rows)(rows)
    m, v = white[inside].mean(axis=0), white[inside].var(axis=0, ddof=1)
    pairs = list(combinations(range(len(data)), 2))
    h = np.median([np.linalg.norm(rows[i] - rows[j]) ** 2 for i, j in pairs])

    def kernel(first: list[int], second: list[int]) -> float:
        values = [
            np.exp(-(np.linalg.norm(rows[i] - rows[j]) ** 2) / h)
            for i in first
            for j in second
            if i != j
        ]
        return float(np.mean(values))

    mmd = kernel(inside, inside) + kernel(outside, outside) - 2 * kernel(inside, outside)
    mean = m @ m / 2
    diagonal = mean + sum(v - 1 - np.log(v)) / 2
    return [mean, diagonal, mmd, ks_2samp(scores[inside], scores[outside]).statistic]


def test_statistics_equal_naive_ones_and_scipy() -> None:
    """Reference: pairwise loops, scipy.stats.ks_2samp with ties, on several splits at once."""
    pool, data = pool_of(0, 14, 5)
    splits = pool.drawn(np.random.default_rng(1), 6)

    found = pool.statistics(splits)

    expected = [naive(data, np.flatnonzero(split).tolist()) for split in splits]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_splits_are_drawn_evenly() -> None:
    """Law: n rows each; of 5 rows all 10 pairs equally often, within four standard errors."""
    pool, _ = pool_of(0, 5, 2)
    splits = pool.drawn(np.random.default_rng(0), 5000)

    assert (splits.sum(axis=1) == 2).all()
    counts = np.unique(splits, axis=0, return_counts=True)[1]
    assert len(counts) == 10
    assert np.abs(counts - 500).max() < 4 * np.sqrt(5000 * 0.1 * 0.9)
    assert pool.observed().tolist() == [[False, False, False, True, True]]


@pytest.mark.parametrize(("seed", "shift"), [(0, 0.0), (1, 1.0), (2, 1.5), (3, 6.0)])
def test_p_equals_that_of_all_splits(seed: int, shift: float) -> None:
    """Reference: every one of the 126 splits of 9 rows by loops; random ones come near."""
    pool, data = pool_of(seed, 9, 4, shift)
    truth = [5, 6, 7, 8]
    others = [list(each) for each in combinations(range(9), 4) if list(each) != truth]
    table = [naive(data, each) for each in [truth, *others]]
    each = [
        [sum(other[j] >= row[j] - 1e-9 for other in table) / len(table) for j in range(4)]
        for row in table
    ]
    exact = np.mean([(min(p), sum(p)) <= (min(each[0]), sum(each[0]) + 1e-9) for p in each])

    found = [p_value(pool, 1e-3, np.random.default_rng(i)).p for i in range(20)]

    error = np.sqrt(exact * (1 - exact) / (20 * 199))  # stopped at the first stage, at worst
    assert np.mean(found) == pytest.approx(exact, abs=3 * error + 2 / 199)
    assert exact < 0.03 or shift < 6


def test_equal_minima_are_told_apart_by_the_mean() -> None:
    """Contract: shares count ties as reached; of two least p-values the smaller mean is less."""
    each = shares(np.array([[3.0, 1.0], [2.0, 3.0], [1.0, 2.0], [1.0, 1.0]]))

    assert each.tolist() == [[0.25, 1.0], [0.5, 0.25], [1.0, 0.5], [1.0, 1.0]]
    assert least(each) == 0.5
    assert least(each[[1, 0, 2, 3]]) == 0.25
    assert least(each[[3, 0, 1, 2]]) == 1.0


def test_rows_that_are_all_alike_say_nothing() -> None:
    """Contract: every split is as good as the truth, so p is 1."""
    result = p_value(
        Pool(np.ones((30, 3)), np.ones((30, 4)), np.zeros(30), 10), 0.01, np.random.default_rng(0)
    )
    assert result == PValue(1.0, 199, dict.fromkeys(STATISTICS, 1.0))


def test_more_splits_are_drawn_where_they_matter() -> None:
    """Contract: 199 for a window like any other, all for one that has drifted."""
    same = p_value(pool_of(2, 60, 20)[0], 1e-3, np.random.default_rng(0))
    other = p_value(pool_of(2, 60, 20, 3.0)[0], 1e-3, np.random.default_rng(0))

    assert (same.splits, other.splits) == (199, 4999)
    assert same.p > 0.1
    assert other.p == 1 / 5000
    assert other.each[other.clearest] == 1 / 5000


def test_splits_suffice_for_the_level() -> None:
    """Contract: five per false alarm, 999 at least; levels that would take minutes are refused."""
    assert [splits_for(level) for level in (0.5, 0.01, 0.001, 1e-5)] == [999, 999, 4999, 499_999]
    for level in (9e-6, 1.0, 0.0, float("nan")):
        with pytest.raises(InvalidSpecError, match=r"from 1e-05 to below 1, got"):
            splits_for(level)


@pytest.mark.usefixtures("unchecked")
def test_stopping_early_keeps_every_level() -> None:
    """Law: over 2,500 pools of nothing, P(p <= a) <= a for a of every stage, within 3 s.e."""
    found = np.array(
        [
            p_value(pool_of(seed, 24, 8)[0], 1e-3, np.random.default_rng([seed, 1])).p
            for seed in range(2500)
        ]
    )
    for a in (0.002, 0.005, 0.01, 0.03, 0.1, 0.15, 0.3, 0.6):
        error = np.sqrt(a * (1 - a) / len(found))
        assert a - 4 * error - 0.01 < np.mean(found <= a) <= a + 3 * error, a
