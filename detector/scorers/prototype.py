"""Prototype: Euclidean distance to the mean row.

With x_l the row of block l and mu_l its fitted mean::

    score = sqrt(sum_l |x_l - mu_l|^2)

A block's contribution is d_l^2 / score. With ``normalise = zscore`` each channel is divided by its
fitted standard deviation first.
"""

import numpy as np

from detector.descriptors import IMAGE_LEVEL, BlockRows
from detector.errors import DegenerateDataError
from detector.options import Options
from detector.scorers.base import Contributions, Scorer, Slopes, moments_of
from detector.scorers.scaling import deviations
from detector.statistics import Statistics


class Prototype(Scorer):
    """The literal idea of SE gates as a fingerprint of normality: fast, explained, a baseline."""

    descriptors = IMAGE_LEVEL

    def __init__(self, statistics: Statistics, options: Options) -> None:
        moments = moments_of(statistics)
        if not all(part.n for part in moments.values()):
            raise DegenerateDataError("no image fitted: fit pictures of the normal state")
        self.parts = tuple(moments)
        self._normal = {
            block: (part.mean, deviations(part) if options.normalise == "zscore" else 1.0)
            for block, part in moments.items()
        }

    def contributions(self, rows: BlockRows) -> Contributions:
        """Return squared distances per block over the whole distance."""
        squares = np.stack(
            [
                np.sum(((rows[block] - mean) / deviation) ** 2, axis=1)
                for block, (mean, deviation) in self._normal.items()
            ],
            axis=1,
        )
        distance = np.sqrt(squares.sum(axis=1, keepdims=True))
        shares: Contributions = np.divide(
            squares, distance, out=np.zeros_like(squares), where=distance > 0
        )
        return shares

    def coordinates(self, rows: BlockRows) -> dict[str, Slopes]:
        """Return (x - mu) / (deviation^2 score) of every block, 0 where the score is 0."""
        score = self.contributions(rows).sum(axis=1, keepdims=True)
        found = {}
        for block, (mean, deviation) in self._normal.items():
            away = (rows[block] - mean) / deviation**2
            slope = np.divide(away, score, out=np.zeros_like(away), where=score > 0)
            found[block] = Slopes(slope, mean)
        return found
