"""KL: divergence of the Gaussian of an image's regional squeezes from the fitted one.

The cells of one image are a window of rows, wherever they lie (``detector.divergence``)::

    score = KL(image || normal) - null        nats; may be a little below 0

It sees what changes the make-up of a picture (material, focus, light, texture), not where. Cells
of one picture are not independent, so the null mean is that of the ideal case; the threshold comes
from calibration as for every scorer.
"""

import numpy as np

from detector.cell_moments import CellMoments
from detector.descriptors import REGIONAL, BlockRows
from detector.divergence import Reference
from detector.options import Options
from detector.scorers.base import Contributions, Scorer
from detector.statistics import Statistics


class KullbackLeibler(Scorer):
    """One position-free Gaussian of all cells of all normal images."""

    descriptors = (REGIONAL,)
    parts = ("mean", "scale", "correlation", "null")

    def __init__(self, statistics: Statistics, options: Options) -> None:
        cells = statistics[REGIONAL]
        assert isinstance(cells, CellMoments)
        self._reference = Reference(cells.free)

    def contributions(self, rows: BlockRows) -> Contributions:
        """Return the three parts of the divergence, and minus its null mean."""
        shares = []
        for image in np.asarray(rows[REGIONAL], dtype=np.float64):
            inside = image[~np.isnan(image[:, 0])]
            if len(inside) == 1:  # a spread of one cell is unknown; its place is not
                inside = np.repeat(inside, 2, axis=0)
            d = self._reference.divergence(inside)
            shares.append((d.mean, d.scale, d.correlation, -d.null))
        return np.array(shares).reshape(-1, 4)
