"""Gaussian: sum over blocks of the Mahalanobis distance.

With x_l the row of block l, mu_l and C_l its fitted mean and covariance (OAS)::

    score = sum_l sqrt((x_l - mu_l)^T C_l^-1 (x_l - mu_l))

``covariance = diagonal`` keeps the diagonal of C_l alone. ``normalise = zscore`` shrinks towards
equal variance of the standardised channels instead of the raw ones. Distances are taken in float32,
as the rows are: where means are many deviations, what that rounds is less than what the rows were
rounded by.

Source: Rippel, Mertens & Merhof, "Modeling the distribution of normal data in pre-trained deep
features for anomaly detection", arXiv:2005.14140 (Mahalanobis per block, summed).
Ours: OAS for Ledoit-Wolf, squeeze statistics for means.
"""

import numpy as np
from jaxtyping import Float, Float64
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from detector.descriptors import IMAGE_LEVEL, BlockRows
from detector.errors import DegenerateDataError
from detector.moments import Moments
from detector.options import Options
from detector.scorers.base import Contributions, Scorer, Slopes, moments_of
from detector.scorers.scaling import deviations, scaled
from detector.scorers.tiles import Tiles
from detector.shrinkage import oas
from detector.statistics import Statistics

TILE_SIDE = 32
"""An image takes about as long as these, 4 MB with ``squeeze_stats``, take to be read."""


class Gaussian(Scorer):
    """One Gaussian per block, whitened by the inverse of its Cholesky factor."""

    descriptors = ("squeeze_stats", *(name for name in IMAGE_LEVEL if name != "squeeze_stats"))

    def __init__(self, statistics: Statistics, options: Options) -> None:
        moments = moments_of(statistics)
        self.parts = tuple(moments)
        widths = [len(part.mean) for part in moments.values()]
        self.expected = float(np.sqrt(widths).sum())
        """Rough score of a normal image: E d_l^2 is the width of the row."""
        # All blocks' rows lie side by side, so that NumPy is called for all of them at once.
        self._starts = np.cumsum([0, *widths[:-1]])
        self._mean = np.concatenate([part.mean for part in moments.values()])
        factors = [_whitening(block, part, options) for block, part in moments.items()]
        self._tiles = Tiles(factors, TILE_SIDE)

    def contributions(self, rows: BlockRows) -> Contributions:
        """Return the Mahalanobis distance per block."""
        return self._lengths(self._whitened(self._apart(rows)))

    def coordinates(self, rows: BlockRows) -> dict[str, Slopes]:
        """Return C^-1 (x - mu) / d of every block, 0 where d = 0: the gradient of d.

        With ``zscore`` it is that of the standardised row, over the deviations.
        """
        apart = self._apart(rows)
        whitened = self._whitened(apart)
        lengths = self._lengths(whitened)
        pull = self._tiles.transposed(whitened)
        # These are d^2 but for the rounding of d: over them, slopes sum to d as it was taken.
        squares = np.add.reduceat(pull * apart, self._starts, axis=1)
        scale = np.divide(lengths, squares, out=np.zeros_like(squares), where=squares > 0)
        spans = map(slice, self._starts, [*self._starts[1:], None])
        return {
            block: Slopes(scale[:, [i]] * pull[:, span], self._mean[span])
            for i, (block, span) in enumerate(zip(self.parts, spans, strict=True))
        }

    def _apart(self, rows: BlockRows) -> Float[np.ndarray, "n d"]:
        """Return x - mu of all blocks side by side."""
        apart: np.ndarray = np.concatenate([rows[block] for block in self.parts], 1) - self._mean
        return apart

    def _whitened(self, apart: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
        """Return the rows of all blocks in coordinates that are independent and of variance 1."""
        return self._tiles.product(apart.astype(np.float32))

    def _lengths(self, whitened: Float[np.ndarray, "n d"]) -> Contributions:
        """Return the length of each block's part."""
        lengths: Contributions = np.sqrt(np.add.reduceat(whitened**2, self._starts, axis=1))
        return lengths


def _whitening(block: str, moments: Moments, options: Options) -> Float[np.ndarray, "d d"]:
    """Return upper triangular W with C^-1 = W W^T of a block's rows as they are, not standardised.

    Raises:
        DegenerateDataError: if the rows define no distance.
    """
    deviation = np.ones(len(moments.mean))
    if options.normalise == "zscore":
        deviation = deviations(moments)
    try:
        covariance, _ = oas(scaled(moments, deviation))
        if options.covariance == "diagonal":
            covariance = np.diag(np.diag(covariance))
        factor = cholesky(covariance, lower=True)
    except (DegenerateDataError, LinAlgError) as error:
        raise DegenerateDataError(f"block {block}: {error}") from error
    whitening: np.ndarray = solve_triangular(factor, np.eye(len(factor)), lower=True).T
    return whitening / deviation[:, None]
