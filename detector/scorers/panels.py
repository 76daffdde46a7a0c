"""Panels: upper triangular factors of groups of rows in float32, without most of their zeros.

A score of one image multiplies each factor by a few rows, which takes about as long as the factors
take to be read from memory: fewer bytes are less time. Beside each other lie those of all groups,
which one call multiplies, so a panel need not be a square (``tiles``): wider ones take less time.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32, Float64


def panels(
    factors: Float[np.ndarray, "*factors d d"], width: int
) -> list[Float32[np.ndarray, "*factors _ _"]]:
    """Return some columns of the factors each, without the rows that are 0 in all of them.

    Args:
        factors: upper triangular.
        width: columns of a panel; with fewer, fewer zeros are read, in more calls.
    """
    d = factors.shape[-1]
    spans = [(begin, min(begin + width, d)) for begin in range(0, d, width)]
    return [
        np.ascontiguousarray(factors[..., :end, begin:end], dtype=np.float32)
        for begin, end in spans
    ]


def product(
    rows: Float32[np.ndarray, "*n c d"], kept: Sequence[Float32[np.ndarray, "*factors _ _"]]
) -> Float64[np.ndarray, "*n c d"]:
    """Return the rows of each group times its factor.

    Always c rows at a time: in float32 a product's last bits depend on how many there are.
    """
    parts = [rows[..., : panel.shape[-2]] @ panel for panel in kept]
    return np.concatenate(parts, axis=-1, dtype=np.float64)
