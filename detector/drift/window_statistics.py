"""Four statistics of how unlike a window and the calibration are, for many splits of their pool.

The pool is both together; a split says which n of its rows are the window. A split's statistics use
it and the pool alone, never who was calibration in truth, so any split can be asked the same. With
coordinates whitened by the pool, m and v_i the mean and variances of the split's window::

    mean      1/2 |m|^2
    diagonal  mean + 1/2 sum_i (v_i - 1 - ln v_i)
    mmd       unbiased squared maximum mean discrepancy of window and rest, kernel
              exp(-|x - y|^2 / h) of all channels, h the median of |x - y|^2 in the pool
    scores    Kolmogorov and Smirnov's largest gap between the scores' distribution functions

The first two see small changes along the leading directions, the third one that many channels share
though it lies across them, the last changes of spread.

Source: Gretton et al., "A kernel two-sample test", JMLR 13 (2012), equation 3 (MMD) and section 8
(median heuristic). Ours: the median is the pool's, as one of the calibration alone would treat it
unlike the window and p-values would no longer be exact.
"""

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.distance import squareform

from detector.drift.window_space import Whitening

STATISTICS = ("mean", "diagonal", "mmd", "scores")

_DECIMALS = 10
"""Statistics are of order 1; below this they differ by rounding, and equal splits must be equal."""

_SMALLEST = 1e-6
"""Least variance of a window's coordinate: its logarithm stays finite."""


class Pool:
    """Rows and scores of calibration and window together, the window's last.

    Attributes:
        size: rows in all.
        window: how many of them are the window.
    """

    def __init__(
        self,
        coordinates: Float[np.ndarray, "p d"],
        channels: Float[np.ndarray, "p c"],
        scores: Float[np.ndarray, " p"],
        window: int,
        distances: Float[np.ndarray, "q q"] | None = None,
    ) -> None:
        """Take the pool; the window's rows are the last ones, 2 at least, as of the others.

        Channels are in units that owe nothing to the calibration, such as of what was fitted.
        Squared distances of the first rows' channels may be given, so that they are made but once.
        """
        self.size, self.window = len(coordinates), window
        white = Whitening.of(coordinates)(coordinates)
        self._both = np.hstack([white, white**2])
        known = np.zeros((0, 0)) if distances is None else distances
        self._kernel = _kernel(channels, known)
        self._sums = self._kernel.sum(axis=1)
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        self._ends = np.append(ordered[1:] > ordered[:-1], True)

    def observed(self) -> Bool[np.ndarray, "1 p"]:
        """Return the split that is the truth."""
        return (np.arange(self.size) >= self.size - self.window)[None]

    def drawn(self, rng: np.random.Generator, count: int) -> Bool[np.ndarray, "b p"]:
        """Return splits drawn uniformly from all, independently."""
        chosen = rng.random((count, self.size)).argpartition(self.window - 1, axis=1)
        splits = np.zeros((count, self.size), dtype=np.bool_)
        np.put_along_axis(splits, chosen[:, : self.window], True, axis=1)
        return splits

    def statistics(self, splits: Bool[np.ndarray, "b p"]) -> Float[np.ndarray, "b 4"]:
        """Return the four statistics of each split, in the order of their names."""
        inside = splits.astype(np.float64)
        mean, diagonal = self._gaussian(inside)
        found = np.stack([mean, diagonal, self._mmd(inside), self._gap(splits)], axis=1)
        return found.round(_DECIMALS)

    def _gaussian(self, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = self.window
        m, squares = np.hsplit(inside @ self._both / n, 2)
        v = np.maximum((squares - m**2) * (n / (n - 1)), _SMALLEST)
        mean = np.sum(m**2, axis=1) / 2
        return mean, mean + np.sum(v - 1 - np.log(v), axis=1) / 2

    def _mmd(self, inside: np.ndarray) -> np.ndarray:
        n, rest = self.window, self.size - self.window
        within = np.einsum("bp,bp->b", inside @ self._kernel, inside)
        touched = inside @ self._sums
        without = self._sums.sum() - 2 * touched + within
        found: np.ndarray = (
            within / (n * (n - 1))
            + without / (rest * (rest - 1))
            - 2 * (touched - within) / (n * rest)
        )
        return found

    def _gap(self, splits: np.ndarray) -> np.ndarray:
        n, rest = self.window, self.size - self.window
        gaps = np.cumsum(splits[:, self._order], axis=1, dtype=np.float64)
        gaps *= 1 / n + 1 / rest
        gaps -= np.arange(1, self.size + 1) / rest
        found: np.ndarray = np.abs(gaps, out=gaps).max(axis=1, where=self._ends, initial=0.0)
        return found


def squared_distances(
    rows: Float[np.ndarray, "n c"], others: Float[np.ndarray, "m c"]
) -> Float[np.ndarray, "n m"]:
    """Return |x - y|^2 for each pair of rows."""
    found: np.ndarray = rows @ others.T
    found *= -2
    found += np.sum(rows**2, axis=1)[:, None]
    found += np.sum(others**2, axis=1)
    np.maximum(found, 0.0, out=found)
    return found


def _kernel(channels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the kernel of all pairs of rows, 0 of a row with itself."""
    first = len(known)
    across = squared_distances(channels[first:], channels)
    distances = np.empty((len(channels), len(channels)))
    distances[:first, :first] = known
    distances[first:], distances[:first, first:] = across, across[:, :first].T
    median = float(np.median(squareform(distances, checks=False), overwrite_input=True))
    distances /= -(median or 1.0)  # equal rows: any width will do
    kernel: np.ndarray = np.exp(distances, out=distances)
    np.fill_diagonal(kernel, 0.0)
    return kernel
