"""Regional: how far each cell of a grid is from what was seen there; the score is the worst few.

With x_k the row of cell k, mu_k its fitted mean, S_s the covariance about these means in the square
of 2 x 2 cells in which it lies, of f_s degrees of freedom, and W that pooled over all (OAS)::

    C_s   = w_s S_s + (1 - w_s) W,   w_s = f_s / (f_s + 128)
    d_k   = sqrt((x_k - mu_k)^T C_s^-1 (x_k - mu_k))
    score = mean of the largest 1 % of d_k (3 of 256 cells, at least one)

``aligned = false``: parts that lie differently in every picture have one mean and one covariance
for all cells. With a memory, d_k is the distance to the nearest remembered row, whitened by that
covariance. All of it but the memory merges and forgets exactly. Distances to cells are taken in
float32, to 1e-7 of themselves.

Source: Defard et al., "PaDiM", arXiv:2011.08785, section 3.2 (a Gaussian per place, Mahalanobis
maps); Roth et al., "PatchCore", arXiv:2106.08265, section 3 (memory of patches, nearest neighbour).
Ours: a covariance for four neighbours, shrinkage to the pooled one by a fixed prior of 32 images
instead of a ridge, squeezes of cells, a bottom-k sample for a coreset.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import LinAlgError, cholesky, solve_triangular

from detector.cell_moments import CellMoments
from detector.descriptors import REGIONAL, BlockRows
from detector.errors import DegenerateDataError, InvalidMaskError
from detector.options import Options
from detector.sample import Sample
from detector.scorers.base import Contributions, Distances, Scorer
from detector.scorers.panels import panels, product
from detector.shrinkage import oas
from detector.squares import squares
from detector.statistics import MEMORY, Statistics

PRIOR_ROWS = 128
"""Rows that the pooled covariance is worth: 32 images of a square, fewer are worse (ablation)."""
WORST_SHARE = 0.01
PANEL_COLUMNS = 32
"""Of 96: a third of each factor, which is 0, is not read. They are 1.6 MB for 64 squares."""
_TABLE_ENTRIES = 2**22
"""Most distances to remembered rows held at once, 32 MiB."""


class Regional(Scorer):
    """A Gaussian per cell, whose covariance four neighbours share; or a bounded memory."""

    descriptors = (REGIONAL,)
    parts = (REGIONAL,)

    def __init__(self, statistics: Statistics, options: Options) -> None:
        cells, memory = statistics[REGIONAL], statistics.get(MEMORY)
        assert isinstance(cells, CellMoments)
        try:
            if isinstance(memory, Sample) and len(memory):
                mean, whitening = _free(cells)
                self._distance: _Distance = _ToMemory(mean, whitening, memory.columns["row"])
            elif options.aligned:
                self._distance = _ToCells(squares(len(cells.counts)), *_aligned(cells))
            else:
                everywhere = np.arange(len(cells.counts))[None]
                self._distance = _ToCells(everywhere, *(each[None] for each in _free(cells)))
        except (DegenerateDataError, LinAlgError) as error:
            raise DegenerateDataError(f"regional: {error}") from error
        self.expected = float(np.sqrt(cells.mean.shape[1]))
        """Rough distance of a normal cell: E d_k^2 is the width of the row."""

    def contributions(self, rows: BlockRows) -> Contributions:
        """Return the mean of each image's worst cells as its one contribution."""
        return self.assess(rows)[0]

    def assess(self, rows: BlockRows) -> tuple[Contributions, Distances]:
        """Return the contribution, and d_k itself.

        Raises:
            InvalidMaskError: if an image has no cell that was fitted.
        """
        distances = self._distance(rows[REGIONAL])
        if np.isnan(distances).all(axis=1).any():
            raise InvalidMaskError("the mask shows no place that was fitted: use the fit's mask")
        return worst(distances)[:, None], distances


def worst(distances: Distances) -> Float[np.ndarray, " n"]:
    """Return the mean of the largest 1 % of each row's distances, at least one; NaN is left out."""
    ordered = -np.sort(-distances, axis=1)  # NaN last
    inside = np.sum(~np.isnan(distances), axis=1)
    count = np.maximum(np.rint(WORST_SHARE * inside), 1)
    taken = np.arange(distances.shape[1]) < count[:, None]
    means: np.ndarray = np.where(taken, ordered, 0.0).sum(axis=1) / count
    return means


class _ToCells:
    """Distance to each cell's mean, whitened by the covariance that it shares with some others.

    Args:
        groups: the cells of each group.
        mean: of every cell, or one for all.
        whitening: of every group.
    """

    def __init__(
        self,
        groups: Int[np.ndarray, "g c"],
        mean: Float[np.ndarray, "#k d"],
        whitening: Float[np.ndarray, "g d d"],
    ) -> None:
        self._groups, self._places = groups, np.argsort(groups, axis=None)
        self._mean = mean
        self._panels = panels(whitening[:, None], PANEL_COLUMNS)

    def __call__(self, rows: Float[np.ndarray, "n k d"]) -> Distances:
        apart = (rows - self._mean).astype(np.float32)
        # Group by group, and its images within: each factor is read once for all of them. So the
        # rows must lie, or NumPy goes image by image.
        grouped = np.ascontiguousarray(apart[:, self._groups].swapaxes(0, 1))
        whitened = product(grouped, self._panels)
        lengths = np.sqrt(np.einsum("gnci,gnci->ngc", whitened, whitened))
        distances: np.ndarray = lengths.reshape(len(rows), -1)[:, self._places]
        return distances


class _ToMemory:
    """Distance to the nearest remembered row, both whitened by one covariance."""

    def __init__(
        self,
        mean: Float[np.ndarray, " d"],
        whitening: Float[np.ndarray, "d d"],
        rows: Float[np.ndarray, "m d"],
    ) -> None:
        self._mean, self._whitening = mean, whitening
        self._rows = (rows - mean) @ whitening
        self._squares = np.sum(self._rows**2, axis=1)

    def __call__(self, rows: Float[np.ndarray, "n k d"]) -> Distances:
        whitened = ((rows - self._mean) @ self._whitening).reshape(-1, rows.shape[2])
        nearest = np.empty(len(whitened))
        step = max(_TABLE_ENTRIES // len(self._rows), 1)
        for start in range(0, len(whitened), step):
            part = whitened[start : start + step]
            table = part @ (-2 * self._rows.T)
            table += self._squares
            nearest[start : start + step] = np.sum(part**2, axis=1) + table.min(axis=1)
        return np.sqrt(np.maximum(nearest, 0.0)).reshape(rows.shape[:2])


_Distance = _ToCells | _ToMemory


def _aligned(cells: CellMoments) -> tuple[np.ndarray, np.ndarray]:
    """Return every cell's mean (k, d), every square's whitening (s, d, d): (x - mean) @ whitening.

    A cell that was never fitted has no mean, and no distance to it.
    """
    pooled, _ = oas(cells.within)
    freedom = cells.freedom[:, None, None]
    weight = freedom / (freedom + PRIOR_ROWS)
    own = cells.scatter / np.maximum(freedom, 1)
    factors = np.linalg.cholesky(weight * own + (1 - weight) * pooled)
    mean = np.where(cells.counts[:, None] > 0, cells.mean, np.nan)
    return mean, np.linalg.inv(factors).transpose(0, 2, 1)


def _free(cells: CellMoments) -> tuple[np.ndarray, np.ndarray]:
    """Return the one mean (d,) and whitening (d, d) of all cells."""
    moments = cells.free
    covariance, _ = oas(moments)
    factor = cholesky(covariance, lower=True)
    return moments.mean, solve_triangular(factor, np.eye(len(factor)), lower=True).T
