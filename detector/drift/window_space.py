"""The few directions in which a window of squeezes is compared, and how far it is there in nats.

Channels are divided by their standard deviation over the fitted rows. The k leading principal
directions of these are kept, and the logarithm of the energy in all others as one more coordinate::

    u = (x - mean) / sd        y_i = u . e_i / sqrt(lambda_i)        y_(k+1) = ln(|u|^2 - |u E|^2)

Directions come of fitted rows, which are neither calibration nor window: of more channels than
rows, fitted rows vary more along them than new ones do. So the Gaussian that a window is compared
with is that of the N calibration rows in these coordinates, whitened symmetrically (C^(-1/2)) with
their unbiased covariance. With m and V the window's mean and covariance there, ``Divergence``'s
parts are those of ``detector.divergence``, and its null mean is exact for Gaussian coordinates.
So is the mean part's, and for uncorrelated coordinates of variance 1 (which these nearly are) the
scale part's, as (C^-1)_ii is (N - 1) / chi2_(N - d)::

    mean   1/2 d a (1/n + 1/N)                                      a = (N - 1) / (N - d - 2)
    scale  1/2 d (a - 1 - psi((n-1)/2) + psi((N-d)/2) + ln((n-1)/(N-1)))
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import eigh
from scipy.special import digamma

from detector.divergence import MAX_DIRECTIONS, Divergence, null_mean
from detector.errors import DegenerateDataError

PARTS = ("mean", "scale", "correlation")

_VARIES = 1e-12
"""Least variance relative to the largest for which a direction counts as one."""

_FLOOR = 1e-6
"""Least eigenvalue of a covariance: a constant window is far away, not infinitely far."""

_QUIET = 1e-3
"""Least standard deviation of a channel, relative to the root mean square of all."""


@dataclass(frozen=True, slots=True)
class Axes:
    """Where rows of c channels are projected to.

    Attributes:
        mean, sd: of the channels, (c,).
        directions: orthonormal, leading first, (c, k), k at most 32.
        variances: of the fitted rows along them, (k,).
    """

    mean: Float[np.ndarray, " c"]
    sd: Float[np.ndarray, " c"]
    directions: Float[np.ndarray, "c k"]
    variances: Float[np.ndarray, " k"]

    @classmethod
    def of(cls, fitted: Float[np.ndarray, "n c"]) -> "Axes":
        """Return the axes of fitted rows; the cost is cubic in the lesser of n and c.

        Raises:
            DegenerateDataError: if the rows do not vary.
        """
        rows = np.asarray(fitted, dtype=np.float64)
        mean, sd = rows.mean(axis=0), rows.std(axis=0)
        level = float(np.sqrt(np.mean(sd**2)))
        if not level > np.sqrt(_VARIES) * float(np.sqrt(np.mean(mean**2))):
            raise DegenerateDataError(
                f"the {len(rows)} fitted rows do not vary: fit samples that differ"
            )
        sd = np.maximum(sd, _QUIET * level)
        u = (rows - mean) / sd
        wide = u.shape[1] > len(u)
        gram = (u @ u.T if wide else u.T @ u) / len(u)
        last = len(gram) - 1
        values, vectors = eigh(gram, subset_by_index=[max(0, last + 1 - MAX_DIRECTIONS), last])
        kept = np.flatnonzero(values > _VARIES * values[-1])[::-1]
        vectors = u.T @ vectors[:, kept] if wide else vectors[:, kept]
        return cls(mean, sd, vectors / np.linalg.norm(vectors, axis=0), values[kept])

    def standardised(self, rows: Float[np.ndarray, "n c"]) -> Float[np.ndarray, "n c"]:
        """Return rows in standard deviations of what was fitted, less its mean."""
        found: np.ndarray = (np.asarray(rows, dtype=np.float64) - self.mean) / self.sd
        return found

    def project(self, rows: Float[np.ndarray, "n c"], k: int) -> Float[np.ndarray, "n d"]:
        """Return the coordinates: k, and one of the energy in what they leave, if anything."""
        return self.coordinates(self.standardised(rows), k)

    def coordinates(self, u: Float[np.ndarray, "n c"], k: int) -> Float[np.ndarray, "n d"]:
        """Return the same of rows that are in standard deviations already."""
        along = u @ self.directions[:, :k]
        leading: np.ndarray = along / np.sqrt(self.variances[:k])
        if k >= u.shape[1]:
            return leading
        whole = np.sum(u**2, axis=1)
        left = np.maximum(whole - np.sum(along**2, axis=1), _VARIES * (whole + 1))
        return np.column_stack([leading, np.log(left)])


@dataclass(frozen=True, slots=True)
class Whitening:
    """Coordinates in which a set of rows has mean 0 and covariance I."""

    mean: Float[np.ndarray, " d"]
    matrix: Float[np.ndarray, "d d"]

    @classmethod
    def of(cls, rows: Float[np.ndarray, "n d"]) -> "Whitening":
        """Return the symmetric whitening of two rows or more, by their unbiased covariance."""
        values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(rows.T)))
        root = 1 / np.sqrt(np.maximum(values, _FLOOR))
        return cls(rows.mean(axis=0), (vectors * root) @ vectors.T)

    def __call__(self, rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return rows in them."""
        white: np.ndarray = (rows - self.mean) @ self.matrix
        return white


def divergence(white: Float[np.ndarray, "n d"], reference: int) -> Divergence:
    """Return how far a window of n > d rows is, whitened by a reference of so many rows."""
    n, d = white.shape
    m, v = white.mean(axis=0), np.atleast_2d(np.cov(white.T))
    values, vectors = np.linalg.eigh(v)
    values = np.maximum(values, _FLOOR)
    variances = (vectors**2) @ values
    return Divergence(
        rows=n,
        directions=d,
        mean=float(m @ m) / 2,
        scale=float(np.sum(variances - 1 - np.log(variances))) / 2,
        correlation=float(np.sum(np.log(variances)) - np.sum(np.log(values))) / 2,
        null=null_mean(d, n, reference),
    )


def null_parts(d: int, n: int, reference: int) -> dict[str, float]:
    """Return the mean of each part when nothing has changed, in nats; they sum to the null mean.

    Args:
        d: coordinates.
        n: rows of the window, more than d.
        reference: rows of the reference, more than d + 2.
    """
    a = (reference - 1) / (reference - d - 2)
    mean = d * a * (1 / n + 1 / reference) / 2
    psi = digamma((reference - d) / 2) - digamma((n - 1) / 2)
    scale = d * (a - 1 + float(psi) + float(np.log((n - 1) / (reference - 1)))) / 2
    whole = null_mean(d, n, reference)
    return {"mean": mean, "scale": scale, "correlation": whole - mean - scale}
