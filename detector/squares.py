"""Squares of a grid: 2 x 2 neighbouring cells, which share a covariance.

Neighbours vary alike: a square's covariance tells as much as four of its cells', of four times the
rows, and four times fewer numbers are kept, and read for every score (docs/ablation.md).
"""

from functools import cache
from math import isqrt

import numpy as np
from jaxtyping import Int

SIDE = 2
"""Cells along one side of a square."""


@cache
def squares(k: int) -> Int[np.ndarray, "s 4"]:
    """Return the cells of every square of a grid of k cells, which lie row by row.

    Raises:
        ValueError: if such a grid has no squares.
    """
    across = isqrt(k) // SIDE
    if (across * SIDE) ** 2 != k:
        raise ValueError(f"{k} cells are no grid of squares of {SIDE} x {SIDE} cells")
    cells = np.arange(k).reshape(across, SIDE, across, SIDE)
    return cells.transpose(0, 2, 1, 3).reshape(-1, SIDE**2)
