"""The divergence against direct formulas, its null mean against simulation."""

import numpy as np
import pytest
from embedding_helpers import fitted_to, synthetic
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import entropy, multivariate_normal
from sklearn.covariance import oas as sklearn_oas

from detector.detector import Detector
from detector.divergence import Reference, null_mean
from detector.errors import DegenerateDataError, NotFittedError
from detector.moments import Moments
from detector.spec import Spec

SEEDS = st.integers(0, 2**32 - 1)


def rows_of(seed: int, n: int, d: int) -> NDArray[np.float64]:
    """Return correlated rows of one world, whatever the seed."""
    world = np.random.default_rng(d)
    rows: NDArray[np.float64] = np.random.default_rng(seed).normal(size=(n, d))
    return rows @ world.normal(size=(d, d)) + world.normal(size=d)


def direct(reference: NDArray[np.float64], window: NDArray[np.float64], k: int) -> float:
    """Return KL of the two Gaussians on the k leading directions of the reference, unwhitened."""
    covariance = sklearn_oas(reference)[0]
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, np.argsort(values)[::-1][:k]]
    s0 = axes.T @ covariance @ axes
    s1 = np.cov((window @ axes).T).reshape(k, k)
    gap = (window.mean(axis=0) - reference.mean(axis=0)) @ axes
    inverse = np.linalg.inv(s0)
    logs = np.linalg.slogdet(s0)[1] - np.linalg.slogdet(s1)[1]
    return float(np.trace(inverse @ s1) + gap @ inverse @ gap - k + logs) / 2


@given(seed=SEEDS, n=st.integers(8, 60), d=st.integers(1, 9))
def test_kl_equals_the_formula_of_two_gaussians(seed: int, n: int, d: int) -> None:
    """Reference: 1/2 (tr S0^-1 S1 + gap S0^-1 gap - k + ln det S0 / det S1), scikit-learn's S0."""
    fitted, window = rows_of(seed, 80, d), 2 * rows_of(seed + 1, n, d) + 1

    found = Reference(Moments.of(fitted)).divergence(window)

    assert (found.rows, found.directions) == (n, min(d, n // 4))
    assert found.kl == pytest.approx(direct(fitted, window, found.directions), rel=1e-7)
    assert found.kl == found.mean + found.scale + found.correlation
    assert min(found.mean, found.scale, found.correlation) >= -1e-9
    assert found.null == null_mean(found.directions, n, 80)
    assert found.excess == found.kl - found.null


def test_kl_equals_scipys_entropy_of_two_densities() -> None:
    """Reference: scipy.stats.entropy of the densities on a fine grid, one direction; 1e-6."""
    fitted, window = rows_of(1, 200, 1), 1.5 * rows_of(2, 50, 1) + 0.5
    grid = np.linspace(-40, 40, 200_001)
    p = multivariate_normal.pdf(grid, window.mean(), np.cov(window.T))
    q = multivariate_normal.pdf(grid, fitted.mean(), sklearn_oas(fitted)[0])
    seen = q > 1e-300

    found = Reference(Moments.of(fitted)).divergence(window)

    assert found.kl == pytest.approx(entropy(p[seen], q[seen]), rel=1e-6)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda z: z + np.array([2.0, 0.0]), "mean"),
        (lambda z: z * np.array([2.0, 0.5]), "scale"),
        (lambda z: z @ np.array([[1.0, 0.9], [0.0, np.sqrt(1 - 0.81)]]), "correlation"),
    ],
    ids=["mean", "scale", "correlation"],
)
def test_each_part_sees_what_it_is_named_after(change: object, part: str) -> None:
    """Contract: a shift, a stretch and a mixing each make up most of the divergence alone."""
    rng = np.random.default_rng(0)
    reference = Reference(Moments.of(rng.normal(size=(4000, 2)) * [2.0, 1.0]))
    window = change(rng.normal(size=(4000, 2))) * [2.0, 1.0]  # type: ignore[operator]

    found = reference.divergence(window)

    assert getattr(found, part) > 0.95 * found.kl > 0.2


@pytest.mark.parametrize(
    ("k", "n", "reference", "expected"),
    [(4, 16, 60, None), (16, 64, 500, 1.48), (2, 9, 1000, None)],
)
def test_the_null_mean_is_the_mean_where_nothing_has_changed(
    k: int, n: int, reference: int, expected: float | None
) -> None:
    """Reference: simulated windows and references of one distribution; four standard errors.

    The fitted covariance here is the unbiased one, without the shrinkage.
    """
    rng, found = np.random.default_rng(0), []
    for _ in range(1500):
        fitted, window = rng.normal(size=(reference, k)), rng.normal(size=(n, k))
        inverse, v = np.linalg.inv(np.cov(fitted.T)), np.cov(window.T)
        gap = window.mean(axis=0) - fitted.mean(axis=0)
        logs = np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(v)[1]
        found.append((np.trace(inverse @ v) + gap @ inverse @ gap - k - logs) / 2)

    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - null_mean(k, n, reference)) < 4 * error
    assert error < 0.05 * np.mean(found)  # or the test could not fail
    if expected is not None:
        assert null_mean(k, n, reference) == pytest.approx(expected, abs=0.005)


def test_excess_is_near_nothing_where_nothing_has_changed() -> None:
    """Law: shrinkage included, the mean excess is far below the mean divergence."""
    found = [
        Reference(Moments.of(rows_of(seed, 500, 6))).divergence(rows_of(10_000 + seed, 64, 6))
        for seed in range(200)
    ]

    assert abs(np.mean([f.excess for f in found])) < 0.2 * np.mean([f.kl for f in found])


@given(seed=SEEDS, n=st.integers(2, 200), reference=st.integers(4, 50), d=st.integers(1, 40))
def test_any_sizes_give_a_finite_divergence(seed: int, n: int, reference: int, d: int) -> None:
    """Contract: fewer rows than channels on either side; never more directions than n/4 and 32."""
    found = Reference(Moments.of(rows_of(seed, reference, d))).divergence(rows_of(seed + 1, n, d))

    assert 1 <= found.directions <= max(1, min(32, n // 4, reference - 3, d))
    assert np.isfinite([found.kl, found.null, found.mean, found.scale, found.correlation]).all()


def test_a_constant_window_is_far_but_not_infinitely() -> None:
    """Contract: eigenvalues of the window are kept above 1e-6."""
    fitted = rows_of(0, 100, 4)
    found = Reference(Moments.of(fitted)).divergence(np.repeat(fitted[:1], 40, axis=0))

    own = Reference(Moments.of(fitted)).divergence(rows_of(1, 40, 4))
    assert np.isfinite(found.kl)
    assert found.kl > 10 * own.kl


def test_too_few_rows_are_refused() -> None:
    """Contract: the message says how many there are and how many it takes."""
    reference = Reference(Moments.of(rows_of(0, 10, 3)))
    with pytest.raises(DegenerateDataError, match="at least 2 rows, got 1"):
        reference.divergence(rows_of(1, 1, 3))
    with pytest.raises(DegenerateDataError, match=r"3 rows fitted: .*at least 4"):
        Reference(Moments.of(rows_of(0, 3, 3)))


def test_a_detector_compares_a_batch_block_by_block() -> None:
    """Contract: little by chance alone, much in the block that moved; cells are one window."""
    empty = Detector(Spec("a", "b", "f"))
    detector = fitted_to(empty, synthetic(0, 60))
    new = synthetic(1, 40)

    same = detector.divergence(new)
    new.mean["second"][:] += np.float32(20)
    odd = detector.divergence(new)

    assert list(same) == ["first", "second", "regional"]
    assert [part.rows for part in same.values()] == [40, 40, 40 * 16]
    assert max(abs(part.excess) for part in same.values()) < 3
    assert odd["second"].excess > 10 * abs(same["second"].excess) + 10
    assert [odd[name] == same[name] for name in ("first", "regional")] == [True, True]
    with pytest.raises(NotFittedError):
        empty.divergence(new)
