"""Gaussian: sum over blocks of the Mahalanobis distance.

With x_l the row of block l, mu_l and C_l its fitted mean and covariance (OAS)::

    score = sum_l sqrt((x_l - mu_l)^T C_l^-1 (x_l - mu_l))

``covariance = diagonal`` keeps the diagonal of C_l alone. ``normalise = zscore`` shrinks towards
equal variance of the standardised channels instead of the raw ones.

Source: Rippel, Mertens & Merhof, "Modeling the distribution of normal data in pre-trained deep
features for anomaly detection", arXiv:2005.14140 (Mahalanobis per block, summed).
Ours: OAS for Ledoit-Wolf, squeeze statistics for means.
"""

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from detector.descriptors import IMAGE_LEVEL, BlockRows
from detector.errors import DegenerateDataError
from detector.options import Options
from detector.scorers.base import Contributions, Scorer, Slopes, moments_of
from detector.scorers.scaling import deviations, scaled
from detector.shrinkage import oas
from detector.statistics import Statistics


class Gaussian(Scorer):
    """One Gaussian per block, whitened by the inverse of its Cholesky factor."""

    descriptors = ("squeeze_stats", *(name for name in IMAGE_LEVEL if name != "squeeze_stats"))

    def __init__(self, statistics: Statistics, options: Options) -> None:
        moments = moments_of(statistics)
        self.parts = tuple(moments)
        self.expected = sum(float(np.sqrt(len(part.mean))) for part in moments.values())
        """Rough score of a normal image: E d_l^2 is the width of the row."""
        self._fitted = {}
        for block, part in moments.items():
            deviation = (
                deviations(part) if options.normalise == "zscore" else np.ones(len(part.mean))
            )
            try:
                part = scaled(part, deviation)
                covariance, _ = oas(part)
                if options.covariance == "diagonal":
                    covariance = np.diag(np.diag(covariance))
                factor = cholesky(covariance, lower=True)
            except (DegenerateDataError, LinAlgError) as error:
                raise DegenerateDataError(f"block {block}: {error}") from error
            whitening = solve_triangular(factor, np.eye(len(factor)), lower=True).T
            self._fitted[block] = (deviation, part.mean, np.ascontiguousarray(whitening))

    def contributions(self, rows: BlockRows) -> Contributions:
        """Return the Mahalanobis distance per block."""
        return np.stack(
            [
                np.linalg.norm((rows[block] / deviation - mean) @ whitening, axis=1)
                for block, (deviation, mean, whitening) in self._fitted.items()
            ],
            axis=1,
        )

    def coordinates(self, rows: BlockRows) -> dict[str, Slopes]:
        """Return C^-1 (x - mu) / d of every block, 0 where d = 0: the gradient of d.

        With ``zscore`` it is that of the standardised row, over the deviations.
        """
        found = {}
        for block, (deviation, mean, whitening) in self._fitted.items():
            white = (rows[block] / deviation - mean) @ whitening
            length = np.linalg.norm(white, axis=1, keepdims=True)
            unit = np.divide(white, length, out=np.zeros_like(white), where=length > 0)
            found[block] = Slopes(unit @ whitening.T / deviation, mean * deviation)
        return found
