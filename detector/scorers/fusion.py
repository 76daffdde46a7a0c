"""Fusion: the image-level Gaussian and the regional score, each in units of what is expected.

With d_l the Mahalanobis distance of block l whose rows are p_l wide, and r the regional score over
rows of width q::

    score = 2 sum_l d_l / sum_l sqrt(p_l)  +  r / sqrt(q)

A Gaussian row of width p has E d^2 = p, so both ratios are near 1 for a normal image. The first, a
mean over blocks, varies among normal images about half as much as the second, which follows the
worst cells: hence the 2. The scale depends on widths alone: fusion needs no held-out images, and
merges and forgets as its parts do.

The two share the work: the regional part looks at strides 4 to 16, the image-level part at the
squeezes of the blocks beyond (``descriptors.beyond``), which tell what a picture shows. Earlier
blocks and the statistics of ``squeeze_stats`` tell of small defects, which the regional part sees
better (docs/ablation.md).
"""

import numpy as np

from detector.descriptors import IMAGE_LEVEL, BlockRows
from detector.options import Options
from detector.scorers.base import Contributions, Distances, Scorer
from detector.scorers.gaussian import Gaussian
from detector.scorers.regional import Regional
from detector.statistics import Statistics

WHOLE_WEIGHT = 2.0


class Fusion(Scorer):
    """What the whole picture says, plus what its worst places say; the default."""

    descriptors = ("squeeze", *(name for name in IMAGE_LEVEL if name != "squeeze"))
    regional = True

    def __init__(self, statistics: Statistics, options: Options) -> None:
        self._whole, self._places = Gaussian(statistics, options), Regional(statistics, options)
        self._share = WHOLE_WEIGHT / self._whole.expected
        self.parts = (*self._whole.parts, *self._places.parts)

    def contributions(self, rows: BlockRows) -> Contributions:
        """Return 2 d_l / sum sqrt(p_l) of every block, then r / sqrt(q)."""
        return self.assess(rows)[0]

    def assess(self, rows: BlockRows) -> tuple[Contributions, Distances]:
        """Return the contributions and d_k / sqrt(q)."""
        whole = self._whole.contributions(rows) * self._share
        places, cells = self._places.assess(rows)
        expected = self._places.expected
        return np.concatenate([whole, places / expected], axis=1), cells / expected
