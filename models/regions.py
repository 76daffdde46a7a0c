"""Spatial averages over a region of interest and over the cells of a grid.

A weight w >= 0 per pixel says how much of it counts; with w = 1 everywhere the plain statistics
come out. For a map x, (b, c, h, w), and the weights averaged down to its size::

    mean_c     = sum w x_c / sum w                      (b, c)
    std_c      = sqrt(sum w (x_c - mean_c)^2 / sum w)   (b, c)
    maximum_c  = max of x_c where w > 0                 (b, c)
    cell k     = sum_k w x_c / sum_k w                  (b, k, c), NaN where sum_k w = 0

Multiplying all weights by one number changes nothing.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

GRID = 16
"""Cells along one side of the grid."""

Weights = Float[Tensor, "b 1 p q"]
"""How much each pixel of the images counts; (p, q) is the images' size, not a map's."""


def at_size(weights: Weights, height: int, width: int) -> Float[Tensor, "b 1 h w"]:
    """Return the weights averaged to a map's size."""
    return functional.adaptive_avg_pool2d(weights, (height, width))


def statistics(
    x: Float[Tensor, "b c h w"], weights: Weights | None
) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c"], Float[Tensor, "b c"]]:
    """Return mean, standard deviation and maximum of every channel."""
    if weights is None:
        variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
        return mean, variance.sqrt(), x.amax(dim=(2, 3))
    weights = at_size(weights, *x.shape[2:])
    share = weights / weights.sum(dim=(2, 3), keepdim=True)
    mean = (share * x).sum(dim=(2, 3))
    variance = (share * (x - mean[:, :, None, None]) ** 2).sum(dim=(2, 3))
    return mean, variance.sqrt(), x.masked_fill(weights <= 0, -torch.inf).amax(dim=(2, 3))


def cells(x: Float[Tensor, "b c h w"], weights: Weights | None) -> Float[Tensor, "b k c"]:
    """Return the mean over every cell of the grid, cells row by row, k = GRID^2."""
    if weights is None:
        pooled = _to_grid(x)
    else:
        inside = at_size(weights, *x.shape[2:])
        pooled = _to_grid(x * inside) / _to_grid(inside)
        outside = functional.adaptive_avg_pool2d(weights, GRID) <= 0
        pooled = pooled.masked_fill(outside, torch.nan)
    return pooled.flatten(2).transpose(1, 2)


def _to_grid(x: Tensor) -> Tensor:
    """Average a finer map over the cells; read a coarser one between its pixels."""
    if min(x.shape[2:]) >= GRID:
        return functional.adaptive_avg_pool2d(x, GRID)
    return functional.interpolate(x, size=(GRID, GRID), mode="bilinear", align_corners=False)
