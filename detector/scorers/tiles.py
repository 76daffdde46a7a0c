"""Tiles: upper triangular factors of all blocks in float32, cut into squares, without those of 0.

A score of one image multiplies each factor by one row, which takes about as long as the factors
take to be read from memory: fewer bytes are less time. One call multiplies all squares, and lets
other threads run meanwhile: NumPy keeps Python's lock for a product of at most 500 numbers.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Float64

IMAGES = 64
"""Whose products, 300 kB each with ``squeeze_stats`` as they are made, are held at once."""


class Tiles:
    """Upper triangular factors W_l, by which the row x_l of each block l is multiplied.

    Rows of all blocks lie side by side. Within, each block begins with a group of ``side`` columns
    of its own; what its last group lacks is 0.
    """

    def __init__(self, factors: Sequence[Float[np.ndarray, "_ _"]], side: int) -> None:
        self._side = side
        squares, tops, lefts, places = [], [], [], []
        first = 0  # group of the block
        for factor in factors:
            groups = -(-len(factor) // side)
            padded = np.zeros((groups * side, groups * side), dtype=np.float32)
            padded[: len(factor), : len(factor)] = factor
            cut = padded.reshape(groups, side, groups, side)
            for left in range(groups):
                filled = [top for top in range(left) if cut[top, :, left].any()] + [left]
                squares += [cut[top, :, left] for top in filled]
                tops += [first + top for top in filled]
                lefts += [first + left] * len(filled)
            places.append(first * side + np.arange(len(factor)))
            first += groups
        self._squares = np.stack(squares)[:, None]
        self._tops, self._lefts = np.array(tops), np.array(lefts)
        self._starts = np.searchsorted(self._lefts, np.arange(first))
        self._groups = first
        self._places = np.concatenate(places)

    def product(self, rows: Float32[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
        """Return x_l W_l of every block.

        Row by row: in float32 the product of a matrix differs from that of its rows by 1e-6.
        """
        found = np.empty(rows.shape)
        for begin in range(0, len(rows), IMAGES):
            parts = self._groups_of(rows[begin : begin + IMAGES])[self._tops] @ self._squares
            sums = np.add.reduceat(parts[:, :, 0], self._starts, axis=0)
            found[begin : begin + IMAGES] = self._rows_of(sums)
        return found

    def transposed(self, rows: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
        """Return x_l W_l^T of every block, of a few rows, in float64."""
        groups = self._groups_of(rows)[:, :, 0]
        sums = np.zeros(groups.shape)
        parts = groups[self._lefts] @ self._squares[:, 0].transpose(0, 2, 1)
        np.add.at(sums, self._tops, parts)
        return self._rows_of(sums)

    def _groups_of(self, rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "groups n 1 side"]:
        padded = np.zeros((len(rows), self._groups * self._side), dtype=rows.dtype)
        padded[:, self._places] = rows
        cut = padded.reshape(len(rows), self._groups, 1, self._side)
        return np.ascontiguousarray(cut.transpose(1, 0, 2, 3))

    def _rows_of(self, groups: Float[np.ndarray, "groups n side"]) -> Float[np.ndarray, "n d"]:
        flat = groups.transpose(1, 0, 2).reshape(groups.shape[1], self._groups * self._side)
        return flat[:, self._places]
