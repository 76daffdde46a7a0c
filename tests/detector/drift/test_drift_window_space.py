"""Where windows are compared, and how far they are there: formulas, scikit-learn, simulation."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from detector.divergence import null_mean
from detector.drift.window_space import (
    PARTS,
    Axes,
    Whitening,
    divergence,
    null_parts,
)
from detector.errors import DegenerateDataError


def mixed(seed: int, n: int, c: int) -> np.ndarray:
    """Return correlated rows of one world."""
    mixing = np.random.default_rng(c).normal(size=(c, c))
    return np.random.default_rng(seed).normal(size=(n, c)) @ mixing + 5


@pytest.mark.parametrize(("n", "c"), [(90, 12), (30, 70)], ids=["tall", "wide"])
def test_axes_equal_scikit_learns(n: int, c: int) -> None:
    """Reference: PCA of standardised rows, up to sign; and the energy that it leaves."""
    fitted, new, k = mixed(0, n, c), mixed(1, 20, c), 7
    scaler = StandardScaler().fit(fitted)
    pca = PCA(k, svd_solver="full").fit(scaler.transform(fitted))
    along = pca.transform(scaler.transform(new))
    left = scaler.transform(new) - pca.inverse_transform(along)

    found = Axes.of(fitted).project(new, k)

    expected = along / np.sqrt(pca.explained_variance_ * (n - 1) / n)
    np.testing.assert_allclose(np.abs(found[:, :k]), np.abs(expected), rtol=1e-6)
    np.testing.assert_allclose(found[:, k], np.log(np.sum(left**2, axis=1)), rtol=1e-6)


def test_there_is_no_energy_beyond_all_directions() -> None:
    """Contract: as many directions as channels leave nothing, so there is no such coordinate."""
    axes = Axes.of(mixed(0, 50, 5))
    assert axes.project(mixed(1, 9, 5), 5).shape == (9, 5)
    assert axes.project(mixed(1, 9, 5), 4).shape == (9, 5)


def test_a_channel_that_hardly_varied_is_not_blown_up() -> None:
    """Contract: its unit is a thousandth of the other channels' spread, not its own."""
    fitted = mixed(0, 50, 5)
    fitted[:, 2] = 5.0
    spread = np.sqrt(np.mean(fitted.var(axis=0)))

    axes = Axes.of(fitted)

    assert axes.sd[2] == pytest.approx(spread / 1000)
    assert np.isfinite(axes.project(mixed(1, 9, 5), 3)).all()


@pytest.mark.parametrize("rows", [np.full((9, 3), 2.0), np.zeros((9, 3)), mixed(0, 1, 3)])
def test_rows_that_do_not_vary_are_refused(rows: np.ndarray) -> None:
    """Contract: there is no direction to look in."""
    with pytest.raises(DegenerateDataError, match="do not vary"):
        Axes.of(rows)


def test_the_reference_is_white() -> None:
    """Law: in its own whitening, mean 0 and covariance I."""
    rows = mixed(3, 40, 6)
    white = Whitening.of(rows)(rows)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(white.T), np.eye(6), atol=1e-9)


def test_kl_equals_the_formula_of_two_gaussians() -> None:
    """Reference: 1/2 (tr S0^-1 S1 + gap S0^-1 gap - d + ln det S0 / det S1); parts sum to it."""
    before, now = mixed(0, 80, 6), 1.4 * mixed(1, 30, 6) - 1
    s0, s1 = np.cov(before.T), np.cov(now.T)
    gap = now.mean(axis=0) - before.mean(axis=0)
    inverse = np.linalg.inv(s0)
    logs = np.linalg.slogdet(s0)[1] - np.linalg.slogdet(s1)[1]
    expected = (np.trace(inverse @ s1) + gap @ inverse @ gap - 6 + logs) / 2

    found = divergence(Whitening.of(before)(now), 80)

    assert found.kl == pytest.approx(expected, rel=1e-9)
    assert found.mean == pytest.approx(gap @ inverse @ gap / 2, rel=1e-9)
    assert found.null == null_mean(6, 30, 80)
    assert min(found.scale, found.correlation) > 0


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("d", "n", "reference"), [(8, 32, 200), (5, 20, 40)])
def test_the_null_means_are_those_of_simulation(d: int, n: int, reference: int) -> None:
    """Reference: 8,000 windows of nothing; the whole to 1 %, its parts to four standard errors."""
    rng, found = np.random.default_rng(0), []
    for _ in range(8000):
        before, now = rng.normal(size=(reference, d)), rng.normal(size=(n, d))
        one = divergence(Whitening.of(before)(now), reference)
        found.append((one.mean, one.scale, one.correlation))
    expected = null_parts(d, n, reference)
    whole, error = np.sum(found, axis=1), np.std(found, axis=0) / np.sqrt(len(found))

    assert np.mean(whole) == pytest.approx(null_mean(d, n, reference), rel=0.01)
    assert sum(expected.values()) == pytest.approx(null_mean(d, n, reference), rel=1e-12)
    for i, part in enumerate(PARTS):
        assert abs(np.mean(found, axis=0)[i] - expected[part]) < 4 * error[i] < 0.1 * expected[part]


def test_a_constant_window_is_far_but_not_infinitely() -> None:
    """Contract: eigenvalues are kept above 1e-6."""
    before = mixed(0, 80, 4)
    white = Whitening.of(before)(np.repeat(before[:1], 20, axis=0))
    assert 10 < divergence(white, 80).kl < np.inf
