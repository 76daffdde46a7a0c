"""Image-level scorers: what SciPy and scikit-learn say of the same rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.covariance import oas as sklearn_oas

from detector.descriptors import BlockRows
from detector.errors import DegenerateDataError
from detector.moments import Moments
from detector.options import Options
from detector.scorers import Scorer, gaussian
from detector.scorers.gaussian import Gaussian
from detector.scorers.prototype import Prototype

SEEDS = st.integers(0, 2**32 - 1)


def rows_of(seed: int, n: int, widths: tuple[int, ...]) -> BlockRows:
    """Return random rows per block."""
    rng = np.random.default_rng(seed)
    return {f"b{d}": rng.normal(1, 2, size=(n, d)).astype(np.float32) for d in widths}


def fit(scorer: type[Scorer], rows: BlockRows, **options: Any) -> Scorer:
    """Return a scorer fitted to rows."""
    moments = {block: Moments.of(part) for block, part in rows.items()}
    return scorer(moments, Options(**options))


def standardised(rows: BlockRows, fitted: BlockRows) -> BlockRows:
    """Return rows of which every channel is divided by its fitted standard deviation, float64."""
    return {b: part / fitted[b].std(axis=0, dtype=np.float64) for b, part in rows.items()}


@given(seed=SEEDS, n=st.integers(1, 40))
def test_prototype_equals_scipy_euclidean(seed: int, n: int) -> None:
    """Reference: scipy cdist on the blocks' rows side by side; float64, rtol 1e-10."""
    train, test = rows_of(seed, n, (3, 8, 5)), rows_of(seed + 1, 6, (3, 8, 5))
    together = [np.concatenate(list(r.values()), axis=1).astype(np.float64) for r in (train, test)]
    expected = cdist(together[1], together[0].mean(0, keepdims=True))[:, 0]

    parts = fit(Prototype, train).contributions(test)

    np.testing.assert_allclose(parts.sum(axis=1), expected, rtol=1e-10)


@given(seed=SEEDS)
def test_prototype_contributions_share_the_squared_distance(seed: int) -> None:
    """Reference: scipy cdist per block; contribution = d_l^2 / score."""
    train, test = rows_of(seed, 12, (3, 8)), rows_of(seed + 1, 6, (3, 8))
    distances = [
        cdist(test[b].astype(float), train[b].astype(float).mean(0, keepdims=True)) for b in train
    ]
    squares = np.concatenate(distances, axis=1) ** 2

    parts = fit(Prototype, train).contributions(test)

    np.testing.assert_allclose(parts, squares / np.sqrt(squares.sum(1, keepdims=True)), rtol=1e-10)


def test_prototype_of_the_mean_row_is_zero() -> None:
    """Contract: no distance, no contributions, and no division by it."""
    rows = {"a": np.ones((4, 3), np.float32), "b": np.ones((4, 2), np.float32)}

    np.testing.assert_array_equal(fit(Prototype, rows).contributions(rows), np.zeros((4, 2)))


@given(seed=SEEDS, n=st.integers(2, 40))
def test_prototype_zscore_equals_scipy_standardised_euclidean(seed: int, n: int) -> None:
    """Reference: scipy cdist "seuclidean" on the blocks' rows side by side; rtol 1e-10."""
    train, test = rows_of(seed, n, (3, 8)), rows_of(seed + 1, 6, (3, 8))
    wide = [np.concatenate(list(r.values()), axis=1).astype(np.float64) for r in (train, test)]
    mean, variance = wide[0].mean(axis=0, keepdims=True), wide[0].var(axis=0)
    expected = cdist(wide[1], mean, "seuclidean", V=variance)[:, 0]

    parts = fit(Prototype, train, normalise="zscore").contributions(test)

    np.testing.assert_allclose(parts.sum(axis=1), expected, rtol=1e-10)


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
@pytest.mark.parametrize("normalise", ["none", "zscore"])
@pytest.mark.parametrize("side", [7, gaussian.TILE_SIDE])
@given(seed=SEEDS, n=st.integers(2, 60))
def test_gaussian_equals_scipy_mahalanobis(
    covariance: str, normalise: str, side: int, seed: int, n: int
) -> None:
    """Reference: per block, scipy cdist with scikit-learn's OAS; float64, rtol 1e-6.

    zscore: of rows standardised by hand; diagonal: with the diagonal of the OAS; of one tile a
    block, or of up to six.
    """
    train, test = rows_of(seed, n, (3, 8, 20)), rows_of(seed + 1, 6, (3, 8, 20))
    made = train, test
    if normalise == "zscore":
        made = standardised(train, train), standardised(test, train)
    expected = []
    for block in train:
        rows, new = (part[block].astype(np.float64) for part in made)
        fitted = sklearn_oas(rows)[0]
        fitted = np.diag(np.diag(fitted)) if covariance == "diagonal" else fitted
        mean, inverse = rows.mean(axis=0, keepdims=True), np.linalg.inv(fitted)
        expected.append(cdist(new, mean, "mahalanobis", VI=inverse)[:, 0])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gaussian, "TILE_SIDE", side)
        scorer = fit(Gaussian, train, normalise=normalise, covariance=covariance)

    np.testing.assert_allclose(scorer.contributions(test), np.stack(expected, axis=1), rtol=1e-6)


def test_gaussian_rounds_less_than_its_rows_were_rounded() -> None:
    """Law: with a covariance of condition 1e6, float32 costs less than another last bit of rows."""
    generator = np.random.default_rng(0)
    axes, _ = np.linalg.qr(generator.normal(size=(60, 60)))

    def drawn(n: int) -> np.ndarray:
        apart = generator.normal(size=(n, 60)) * np.logspace(0, -3, 60) @ axes.T
        return (5 + apart).astype(np.float32)

    train, test = drawn(2000), drawn(50)
    rows = train.astype(np.float64)
    mean, inverse = rows.mean(axis=0, keepdims=True), np.linalg.inv(sklearn_oas(rows)[0])
    rounding = 1 + 2.0**-24 * generator.uniform(-1, 1, test.shape)
    exact, rounded = (
        cdist(each, mean, "mahalanobis", VI=inverse) for each in (test, test * rounding)
    )

    scores = fit(Gaussian, {"a": train}).contributions({"a": test})

    assert np.abs(scores / exact - 1).max() < np.abs(rounded / exact - 1).max() / 2


@pytest.mark.parametrize("scorer", [Gaussian, Prototype])
def test_zscore_survives_a_channel_that_never_varied(scorer: type[Scorer]) -> None:
    """Contract: it is scaled by a millionth of the largest deviation: finite, and it decides."""
    rows = rows_of(0, 20, (4,))
    rows["b4"][:, 1] = 2.0
    moved = {"b4": rows["b4"][:1] + np.float32([0, 1, 0, 0])}

    fitted = fit(scorer, rows, normalise="zscore")

    assert np.isfinite(fitted.contributions(rows)).all()
    assert fitted.contributions(moved)[0, 0] > fitted.contributions(rows).max()
    assert np.isfinite(fitted.contributions(moved)).all()


@pytest.mark.parametrize("factor", [1e-6, 0.1, 1e6])
def test_gaussian_does_not_depend_on_the_unit(factor: float) -> None:
    """Law: rows in another unit have the same Mahalanobis distances, unlike Euclidean ones."""
    train, test = rows_of(0, 20, (3, 8)), rows_of(1, 6, (3, 8))
    unit = np.float32(factor)

    scaled = fit(Gaussian, {b: r * unit for b, r in train.items()})

    np.testing.assert_allclose(
        scaled.contributions({b: r * unit for b, r in test.items()}),
        fit(Gaussian, train).contributions(test),
        rtol=1e-4,
    )


def test_gaussian_names_the_block_that_does_not_vary() -> None:
    """Contract: one dead block is enough to refuse, and it is named."""
    rows = rows_of(0, 20, (3, 8)) | {"dead": np.ones((20, 4), np.float32)}

    with pytest.raises(DegenerateDataError, match=r"^block dead: .*do not vary"):
        fit(Gaussian, rows)
