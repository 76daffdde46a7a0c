"""A region of interest at a map's size, and averages over the cells of a grid.

A weight w >= 0 per pixel says how much of it counts; with w = 1 everywhere the plain averages
come out. For a map x, (b, c, h, w), and the weights averaged down to its size::

    cell k = sum_k w x_c / sum_k w    (b, k, c), NaN where sum_k w = 0

Multiplying all weights by one number changes nothing. Statistics of whole maps are those of
``models.pooling``.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

GRID = 16
"""Cells along one side of the grid."""

Weights = Float[Tensor, "b 1 p q"]
"""How much each pixel of the images counts; (p, q) is the images' size, not a map's."""


def at_size(weights: Weights, height: int, width: int) -> Float[Tensor, "b h w"]:
    """Return the weights averaged to a map's size."""
    return functional.adaptive_avg_pool2d(weights, (height, width))[:, 0]


def cells(x: Float[Tensor, "b c h w"], weights: Weights | None) -> Float[Tensor, "b k c"]:
    """Return the mean over every cell of the grid, cells row by row, k = GRID^2."""
    if weights is None:
        pooled = _to_grid(x)
    else:
        inside = at_size(weights, *x.shape[2:])[:, None]
        pooled = _to_grid(x * inside) / _to_grid(inside)
        outside = functional.adaptive_avg_pool2d(weights, GRID) <= 0
        pooled = pooled.masked_fill(outside, torch.nan)
    return pooled.flatten(2).transpose(1, 2)


def _to_grid(x: Tensor) -> Tensor:
    """Average a finer map over the cells; read a coarser one between its pixels."""
    if min(x.shape[2:]) >= GRID:
        return functional.adaptive_avg_pool2d(x, GRID)
    return functional.interpolate(x, size=(GRID, GRID), mode="bilinear", align_corners=False)
