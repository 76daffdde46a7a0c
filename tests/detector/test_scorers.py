"""Every scorer keeps one contract; a new one is tested by being listed in SCORERS."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.descriptors import DESCRIPTORS, BlockRows
from detector.errors import DegenerateDataError
from detector.moments import BlockMoments, Moments, merge
from detector.scorers import SCORERS, Scorer

WIDTHS = {"shallow": 4, "deep": 9}
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module", params=list(SCORERS))
def scorer(request: pytest.FixtureRequest) -> type[Scorer]:
    """Every scorer there is."""
    return SCORERS[request.param]


def rows_of(seed: int, n: int) -> BlockRows:
    """Return correlated rows whose channels differ in level and size, as real squeezes do."""
    rng = np.random.default_rng(seed)
    world = np.random.default_rng(99)  # one normal state, whatever the seed
    rows = {}
    for block, d in WIDTHS.items():
        mixing, level = world.normal(size=(d, d)), world.uniform(-3, 3, size=d)
        rows[block] = (rng.normal(size=(n, d)) @ mixing + level).astype(np.float32)
    return rows


def each(
    rows: BlockRows, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> BlockRows:
    """Return rows changed in every block."""
    return {block: change(part) for block, part in rows.items()}


def moments_of(rows: BlockRows) -> BlockMoments:
    """Return the moments of every block."""
    return {block: Moments.of(part) for block, part in rows.items()}


def scores(scorer: Scorer, rows: BlockRows) -> NDArray[np.float64]:
    """Return the score of every image."""
    total: NDArray[np.float64] = scorer.contributions(rows).sum(axis=1)
    return total


@given(seed=SEEDS, n=st.integers(2, 40))
def test_far_is_more_anomalous_than_near(scorer: type[Scorer], seed: int, n: int) -> None:
    """Contract: away from the mean row, in any direction, the score grows and never falls."""
    moments = moments_of(rows_of(seed, n))
    centre = {block: part.mean for block, part in moments.items()}
    rng = np.random.default_rng(seed)
    direction = {block: rng.normal(size=d) for block, d in WIDTHS.items()}
    steps = np.array([0, 0.1, 1, 3, 10, 100, 1000])[:, None]

    path = {b: (centre[b] + steps * direction[b]).astype(np.float32) for b in WIDTHS}

    assert (np.diff(scores(scorer(moments), path)) > 0).all()


@given(seed=SEEDS, n=st.integers(20, 40))
def test_every_fitted_row_is_nearer_than_a_far_one(scorer: type[Scorer], seed: int, n: int) -> None:
    """Contract: what was fitted scores below the same rows moved far away."""
    rows = rows_of(seed, n)
    fitted = scorer(moments_of(rows))

    far = each(rows, lambda part: part + np.float32(100))

    assert scores(fitted, rows).max() < scores(fitted, far).min()


@given(seed=SEEDS, n=st.integers(2, 12))
def test_a_row_alone_scores_as_in_a_batch(scorer: type[Scorer], seed: int, n: int) -> None:
    """Law: batch = alone, to the rounding of float64."""
    fitted, new = scorer(moments_of(rows_of(seed, 20))), rows_of(seed + 1, n)
    batch = fitted.contributions(new)

    alone = [fitted.contributions(each(new, lambda part, i=i: part[i : i + 1])) for i in range(n)]  # type: ignore[misc]

    np.testing.assert_allclose(np.concatenate(alone), batch, rtol=1e-12)


@given(seed=SEEDS, n=st.integers(2, 30))
def test_the_order_of_the_fitted_rows_does_not_matter(
    scorer: type[Scorer], seed: int, n: int
) -> None:
    """Law: permuted = in order, to 1e-9."""
    rows, new = rows_of(seed, n), rows_of(seed + 1, 5)
    order = np.random.default_rng(seed).permutation(n)

    permuted = scorer(moments_of(each(rows, lambda part: part[order]))).contributions(new)

    np.testing.assert_allclose(permuted, scorer(moments_of(rows)).contributions(new), rtol=1e-9)


@given(seed=SEEDS, n=st.integers(2, 30), cut=st.floats(0, 1))
def test_fitted_in_two_halves_scores_as_at_once(
    scorer: type[Scorer], seed: int, n: int, cut: float
) -> None:
    """Law: split + merge = whole, to 1e-9."""
    rows, new, half = rows_of(seed, n), rows_of(seed + 1, 5), int(cut * n)
    first, second = each(rows, lambda part: part[:half]), each(rows, lambda part: part[half:])

    merged = scorer(merge(moments_of(first), moments_of(second))).contributions(new)

    np.testing.assert_allclose(merged, scorer(moments_of(rows)).contributions(new), rtol=1e-9)


@given(seed=SEEDS, n=st.integers(3, 30), m=st.integers(1, 30))
def test_forgotten_rows_score_as_if_never_seen(
    scorer: type[Scorer], seed: int, n: int, m: int
) -> None:
    """Law: extend, then forget = never seen, to 1e-6."""
    seen, extra, new = moments_of(rows_of(seed, n)), moments_of(rows_of(seed + 2, m)), rows_of(1, 5)

    both = merge(seen, extra)
    forgotten = scorer({block: part - extra[block] for block, part in both.items()})

    np.testing.assert_allclose(
        forgotten.contributions(new), scorer(seen).contributions(new), rtol=1e-6
    )


@given(seed=SEEDS, n=st.integers(2, 30), m=st.integers(1, 9))
def test_contributions_have_one_column_per_block(
    scorer: type[Scorer], seed: int, n: int, m: int
) -> None:
    """Contract: (n, blocks) in the order of the moments, finite, not negative, float64."""
    rows, new = rows_of(seed, n), rows_of(seed + 1, m)
    parts = scorer(moments_of(rows)).contributions(new)

    backwards = scorer(moments_of(dict(reversed(rows.items())))).contributions(new)

    assert parts.shape == (m, len(WIDTHS))
    assert parts.dtype == np.float64
    assert np.isfinite(parts).all()
    assert (parts >= 0).all()
    np.testing.assert_array_equal(backwards, parts[:, ::-1])


@pytest.mark.parametrize("block", list(WIDTHS))
def test_the_block_that_moved_contributes_most(scorer: type[Scorer], block: str) -> None:
    """Contract: contributions say where the anomaly is."""
    rows = rows_of(5, 30)
    moved = {b: part[:1] + np.float32(50 * (b == block)) for b, part in rows.items()}

    parts = scorer(moments_of(rows)).contributions(moved)[0]

    assert list(WIDTHS)[int(parts.argmax())] == block


def constant_channels(rows: BlockRows) -> BlockRows:
    """Return rows of which two channels per block never vary."""
    return each(rows, lambda part: np.where(np.arange(part.shape[1]) < 2, np.float32(3), part))


def one_odd_row(rows: BlockRows) -> BlockRows:
    """Return one row many times and another once."""
    return each(rows, lambda part: np.concatenate([np.repeat(part[:1], 9, axis=0), part[1:2]]))


DEGENERATE: dict[str, Callable[[BlockRows], BlockRows]] = {
    "two rows": lambda rows: each(rows, lambda part: part[:2]),
    "fewer rows than channels": lambda rows: each(rows, lambda part: part[:3]),
    "every row twice": lambda rows: each(rows, lambda part: np.repeat(part, 2, axis=0)),
    "duplicates and one odd row": one_odd_row,
    "constant channels": constant_channels,
    "tiny": lambda rows: each(rows, lambda part: part * np.float32(1e-15)),
    "huge": lambda rows: each(rows, lambda part: part * np.float32(1e15)),
    "far from zero": lambda rows: each(rows, lambda part: part + np.float32(1e4)),
}


@pytest.mark.parametrize("change", list(DEGENERATE))
def test_poor_but_accepted_data_give_finite_scores(scorer: type[Scorer], change: str) -> None:
    """Contract: what a scorer accepts it can score: the fitted rows, their mean, and others."""
    rows = DEGENERATE[change](rows_of(7, 20))
    moments = moments_of(rows)
    fitted = scorer(moments)
    mean = {block: part.mean[None].astype(np.float32) for block, part in moments.items()}

    for new in (rows, mean, each(rows, lambda part: 2 * part + np.float32(1)), rows_of(8, 4)):
        parts = fitted.contributions(new)
        assert np.isfinite(parts).all()
        assert (parts >= 0).all()
    assert scores(fitted, mean)[0] <= scores(fitted, rows).max()


def test_no_rows_are_refused(scorer: type[Scorer]) -> None:
    """Contract: nothing seen is no normal state, for a scorer that needs no covariance too."""
    with pytest.raises(DegenerateDataError):
        scorer({block: Moments.empty(d) for block, d in WIDTHS.items()})


def test_the_default_descriptor_exists(scorer: type[Scorer]) -> None:
    """Contract: a detector made without a descriptor can run."""
    assert scorer.default_descriptor in DESCRIPTORS
