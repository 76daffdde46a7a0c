"""Kullback-Leibler divergence between the Gaussian of a window of rows and the fitted one.

In the k leading principal directions of the reference, whitened so that it is N(0, I) there, let m
and V be the window's mean and (unbiased) covariance over n rows::

    KL(window || reference) = 1/2 (|m|^2 + tr V - k - ln det V)            nats
    mean                    = 1/2 |m|^2
    scale                   = 1/2 sum_i (V_ii - 1 - ln V_ii)
    correlation             = 1/2 (sum_i ln V_ii - ln det V)               the three sum to KL

The plug-in value is far from 0 when nothing has changed. Its exact mean then, for independent
Gaussian rows, a window of n > k and a reference of N > k + 2 rows (psi is the digamma function)::

    a    = (N - 1) / (N - k - 2)
    null = 1/2 [k a (1 + 1/n + 1/N) - k + sum_{i=1..k} (psi((N-i)/2) - psi((n-i)/2))
                - k ln((N-1)/(n-1))]

and ``excess = KL - null`` is what may be compared between windows of different size. The null is
exact for an unbiased covariance of the reference; ours is shrunk, which leaves a mean excess of
about a tenth of KL at d = 6, n = 64, N = 500. k is at most 32 and at most n/4, so that V is well
determined.
Eigenvalues of V are kept above 1e-6: a constant window is far away, not infinitely far.

Source: Kullback & Leibler (1951) for the divergence; the null mean follows from the expectations of
a Wishart matrix, its inverse and its log-determinant (Anderson, "An Introduction to Multivariate
Statistical Analysis", 3rd ed., 7.7.1 and 7.5) and is checked by simulation in the tests.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import digamma

from detector.errors import DegenerateDataError
from detector.moments import Moments
from detector.rows import Rows
from detector.sample import Sample
from detector.shrinkage import oas
from detector.statistics import Statistics

MAX_DIRECTIONS = 32
ROWS_PER_DIRECTION = 4
_EIGENVALUE_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Divergence:
    """KL of one window in nats, its three parts, and its mean when nothing has changed."""

    rows: int
    directions: int
    mean: float
    scale: float
    correlation: float
    null: float

    @property
    def kl(self) -> float:
        """The plug-in divergence."""
        return self.mean + self.scale + self.correlation

    @property
    def excess(self) -> float:
        """The divergence beyond what chance alone gives; near 0 when nothing has changed."""
        return self.kl - self.null


class Reference:
    """The fitted Gaussian, ready to be compared with windows.

    Raises:
        DegenerateDataError: if the fitted rows do not vary or are fewer than four.
    """

    def __init__(self, moments: Moments) -> None:
        covariance, _ = oas(moments)
        values, vectors = np.linalg.eigh(covariance)
        leading = np.argsort(values)[::-1][:MAX_DIRECTIONS]
        self._n, self._mean = moments.n, moments.mean
        self._whitening = vectors[:, leading] / np.sqrt(values[leading])
        if moments.n < 4:
            raise DegenerateDataError(f"{moments.n} rows fitted: a divergence needs at least 4")

    def project(self, rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n k"]:
        """Return rows in the reference's whitened leading directions."""
        whitened: np.ndarray = (rows - self._mean) @ self._whitening
        return whitened

    def divergence(self, rows: Float[np.ndarray, "n d"]) -> Divergence:
        """Return the divergence of a window of at least two rows.

        Raises:
            DegenerateDataError: if there are fewer than two rows.
        """
        n = len(rows)
        if n < 2:
            raise DegenerateDataError(f"a divergence needs a window of at least 2 rows, got {n}")
        wanted = min(MAX_DIRECTIONS, n // ROWS_PER_DIRECTION, self._n - 3)
        k = min(max(wanted, 1), self._whitening.shape[1])
        window = self.project(rows)[:, :k]
        m, v = window.mean(axis=0), np.atleast_2d(np.cov(window.T))
        values, vectors = np.linalg.eigh(v)
        values = np.maximum(values, _EIGENVALUE_FLOOR)
        variances = (vectors**2) @ values
        return Divergence(
            rows=n,
            directions=k,
            mean=float(m @ m) / 2,
            scale=float(np.sum(variances - 1 - np.log(variances))) / 2,
            correlation=float(np.sum(np.log(variances)) - np.sum(np.log(values))) / 2,
            null=null_mean(k, n, self._n),
        )


def null_mean(k: int, n: int, reference: int) -> float:
    """Return the exact mean of KL when window and reference have the same distribution.

    Args:
        k: directions.
        n: rows of the window, more than k.
        reference: rows of the reference, more than k + 2.
    """
    i = np.arange(1, k + 1)
    a = (reference - 1) / (reference - k - 2)
    logs = np.sum(digamma((reference - i) / 2) - digamma((n - i) / 2))
    ratio = np.log((reference - 1) / (n - 1))
    return float(k * a * (1 + 1 / n + 1 / reference) - k + logs - k * ratio) / 2


def by_block(statistics: Statistics, rows: Rows) -> dict[str, Divergence]:
    """Return how far a window of rows is from what was fitted, by block.

    Raises:
        DegenerateDataError: if there are too few rows.
    """
    found = {}
    for name, block in rows.blocks.items():
        fitted = statistics[name]
        assert not isinstance(fitted, Sample)
        reference = fitted if isinstance(fitted, Moments) else fitted.free
        window = np.asarray(block, dtype=np.float64).reshape(-1, block.shape[-1])
        found[name] = Reference(reference).divergence(window[~np.isnan(window[:, 0])])
    return found
