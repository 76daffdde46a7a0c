"""Panels: upper triangular factors in float32, without most of their zeros.

A score of one image multiplies each factor by one row, which takes about as long as the factor
takes to be read from memory: fewer bytes are less time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64


@dataclass(frozen=True, slots=True)
class Panel:
    """Some columns of factors, without the rows that are 0 in all of them."""

    rows: slice
    columns: slice
    factor: Float32[np.ndarray, "*factors rows columns"]


def panels(factors: Float[np.ndarray, "*factors d d"], width: int, start: int = 0) -> list[Panel]:
    """Return the panels of upper triangular factors.

    Args:
        factors: one, or several alike.
        width: columns of a panel; with fewer, fewer zeros are read, in more calls.
        start: where their part of a longer row begins.
    """
    found = []
    for begin in range(0, factors.shape[-1], width):
        end = min(begin + width, factors.shape[-1])
        part = np.ascontiguousarray(factors[..., :end, begin:end], dtype=np.float32)
        found.append(Panel(slice(start, start + end), slice(start + begin, start + end), part))
    return found


def product(
    rows: Float32[np.ndarray, "*n 1 d"], factors: Sequence[Panel]
) -> Float64[np.ndarray, "*n d"]:
    """Return each row times the factors side by side.

    Row by row: in float32 the product of a matrix differs from that of its rows by 1e-6.
    """
    parts = [(rows[..., panel.rows] @ panel.factor)[..., 0, :] for panel in factors]
    return np.concatenate(parts, axis=-1, dtype=np.float64)
