"""Moments of a grid: count and mean of each cell's rows over images, scatter of each square's.

A cell is one place of a coarse grid laid over the images; a square is 2 x 2 of them. With n_k rows
x_ki of cell k, mean_k theirs and m that of all rows, in float64::

    scatter_s = sum_(k of s) sum_i (x_ki - mean_k)(x_ki - mean_k)^T    about the cells' own means
    within    = sum_s scatter_s
    free      = within + sum_k n_k (mean_k - m)(mean_k - m)^T

Merging and subtracting are those of ``detector.moments``, cell by cell; a cell that lies outside an
image's region of interest (NaN in its row) is not counted there.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from detector.moments import Moments
from detector.squares import squares

CellRows = Float[np.ndarray, "n k d"]
"""n images, k cells, d channels; NaN where a cell is outside the region of interest."""


@dataclass(frozen=True, slots=True)
class CellMoments:
    """Images, counts (k,), means (k, d) and scatters (s, d, d); immutable."""

    n: int
    counts: Float[np.ndarray, " k"]
    mean: Float[np.ndarray, "k d"]
    scatter: Float[np.ndarray, "s d d"]

    @classmethod
    def empty(cls, k: int, d: int) -> "CellMoments":
        """Return the moments of no image, the neutral element of ``+``."""
        return cls(0, np.zeros(k), np.zeros((k, d)), np.zeros((len(squares(k)), d, d)))

    @classmethod
    def of(cls, rows: CellRows) -> "CellMoments":
        """Return the moments of the cells of n images, (n, k, d); n may be 0."""
        # In one order of memory, as after it was saved: sums depend on it in their last bit.
        rows = np.ascontiguousarray(rows, dtype=np.float64)
        present = ~np.isnan(rows[:, :, 0])
        counts = present.sum(axis=0).astype(np.float64)
        filled = np.where(present[:, :, None], rows, 0.0)
        mean = filled.sum(axis=0) / np.maximum(counts, 1)[:, None]
        centred = np.where(present[:, :, None], filled - mean, 0.0)
        return cls(len(rows), counts, mean, _scatter(centred))

    def __add__(self, other: "CellMoments") -> "CellMoments":
        """Return the moments of both sets together.

        Raises:
            ValueError: if the grids or widths differ.
        """
        self._check_shape(other)
        counts = self.counts + other.counts
        weight = other.counts / np.maximum(counts, 1)
        delta = other.mean - self.mean
        between = _between(delta, self.counts * weight)
        mean = self.mean + weight[:, None] * delta
        return CellMoments(self.n + other.n, counts, mean, self.scatter + other.scatter + between)

    def __sub__(self, other: "CellMoments") -> "CellMoments":
        """Return the moments without a set that was merged before: as if it had never been seen.

        Raises:
            ValueError: if the shapes differ or more would be forgotten than was seen.
        """
        self._check_shape(other)
        counts = self.counts - other.counts
        if self.n < other.n or np.any(counts < 0):
            raise ValueError(f"cannot forget {other.n} images of {self.n}")
        left = np.maximum(counts, 1)
        mean = self.mean + (self.mean - other.mean) * (other.counts / left)[:, None]
        weight = counts * other.counts / np.maximum(self.counts, 1)
        between = _between(other.mean - mean, weight)
        scatter = self.scatter - other.scatter - between
        mean[counts == 0] = 0.0
        rest = CellMoments(self.n - other.n, counts, mean, scatter)
        scatter[rest.freedom == 0] = 0.0
        return rest

    @property
    def freedom(self) -> Float[np.ndarray, " s"]:
        """Degrees of freedom of every square's scatter: n_k - 1 of each of its cells."""
        freedom: np.ndarray = np.maximum(self.counts - 1, 0)[squares(len(self.counts))].sum(axis=1)
        return freedom

    @property
    def within(self) -> Moments:
        """The scatter about the cells' own means; n is the degrees of freedom, the mean is 0."""
        none = np.zeros(self.mean.shape[1])
        return Moments(int(self.freedom.sum()), none, self.scatter.sum(axis=0))

    @property
    def free(self) -> Moments:
        """The moments of all rows wherever they lie."""
        n = self.counts.sum()
        mean = self.counts @ self.mean / max(n, 1.0)
        centred = self.mean - mean
        between = (centred * self.counts[:, None]).T @ centred
        return Moments(int(n), mean, self.scatter.sum(axis=0) + between)

    def _check_shape(self, other: "CellMoments") -> None:
        if self.mean.shape != other.mean.shape:
            raise ValueError(f"cells of {other.mean.shape} do not fit {self.mean.shape}")


def _scatter(apart: Float[np.ndarray, "n k d"]) -> Float[np.ndarray, "s d d"]:
    """Return the sum of x x^T over the rows of every square."""
    cells = squares(apart.shape[1])
    rows = apart.swapaxes(0, 1)[cells].reshape(len(cells), -1, apart.shape[2])
    scatter = rows.transpose(0, 2, 1) @ rows
    # Symmetric to the last bit, as it is after it was saved.
    symmetric: np.ndarray = (scatter + scatter.transpose(0, 2, 1)) / 2
    return symmetric


def _between(
    delta: Float[np.ndarray, "k d"], weight: Float[np.ndarray, " k"]
) -> Float[np.ndarray, "s d d"]:
    """Return the sum of weight_k delta_k delta_k^T over the cells of every square."""
    return _scatter((np.sqrt(weight)[:, None] * delta)[None])
