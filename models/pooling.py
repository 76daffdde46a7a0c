"""Statistics of every channel over the places of a sample, and gates brought back to the places.

Two layouts of a batch of b samples with c channels:

* *dense*: x is (b, c, *places): pixels (h, w), frames and pixels (t, h, w), tokens (t). Weights
  w >= 0 of shape (b, *places) say how much each place counts: a region of interest, a padding mask;
  None counts all alike.
* *packed*: x is (n, c), the nodes of all samples one after another, without padding; a ``Packing``
  says which sample each belongs to.

For channel c of one sample, sums over its places::

    mean_c    = sum w x_c / sum w                      0 where nothing counts
    total_c   = sum w x_c
    std_c     = sqrt(sum w (x_c - mean_c)^2 / sum w)
    maximum_c = max of x_c where w > 0                 -inf where nothing counts

Multiplying the weights by a positive number changes all but the total in nothing.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Packing:
    """Which sample each of n packed rows belongs to; ``sizes`` (b,) rows a sample, in order.

    Made by ``of``.
    """

    index: Int[Tensor, " n"]
    sizes: Int[Tensor, " b"]

    @classmethod
    def of(cls, sizes: Int[Tensor, " b"], rows: int) -> "Packing":
        """Return the packing of ``rows`` rows into samples of these sizes, one after another.

        Raises:
            ValueError: if the sizes do not add up to the rows.
        """
        if not torch.compiler.is_compiling() and int(sizes.sum()) != rows:
            raise ValueError(f"sizes must add up to the {rows} rows, got {int(sizes.sum())}")
        samples = torch.arange(sizes.shape[0], device=sizes.device)
        return cls(torch.repeat_interleave(samples, sizes, output_size=rows), sizes)

    def total(self, x: Float[Tensor, "..."]) -> Float[Tensor, "b c"]:
        """Return the sum of every sample's rows, x (n, c).

        Raises:
            ValueError: if x is not of shape (n, c).
        """
        rows = self.index.shape[0]
        if x.dim() != 2 or x.shape[0] != rows:
            raise ValueError(f"a packed batch has shape ({rows}, c), got {tuple(x.shape)}")
        return x.new_zeros(self.sizes.shape[0], x.shape[1]).index_add(0, self.index, x)

    def mean(self, x: Float[Tensor, "..."]) -> Float[Tensor, "b c"]:
        """Return the mean of every sample's rows. Raises ValueError as ``total`` does."""
        return self.total(x) / self.sizes.clamp_min(1).to(x.dtype)[:, None]

    def maximum(self, x: Float[Tensor, "n c"]) -> Float[Tensor, "b c"]:
        """Return the maximum of every sample's rows."""
        lowest = x.new_full((self.sizes.shape[0], x.shape[1]), -torch.inf)
        return lowest.scatter_reduce(0, self.index[:, None].expand_as(x), x, "amax")


Where = Float[Tensor, "..."] | Packing | None
"""Weights of a dense batch, the packing of a packed one, or None: dense, all places alike."""


def mean(x: Float[Tensor, "..."], where: Where = None) -> Float[Tensor, "b c"]:
    """Return the mean of every channel of every sample.

    Raises:
        ValueError: if x is not of shape (b, c, *places), or packed (n, c) as the packing has it, or
            the weights are not of shape (b, *places).
    """
    if isinstance(where, Packing):
        return where.mean(x)
    places = _places(x)
    if where is None:
        return x.mean(dim=places)
    return (_share(x, where) * x).sum(dim=places)


def total(x: Float[Tensor, "..."], where: Where = None) -> Float[Tensor, "b c"]:
    """Return the sum of every channel of every sample. Raises ValueError as ``mean`` does."""
    if isinstance(where, Packing):
        return where.total(x)
    places = _places(x)
    return (x if where is None else _weights(x, where) * x).sum(dim=places)


def statistics(
    x: Float[Tensor, "..."], where: Where = None
) -> tuple[Float[Tensor, "b c"], Float[Tensor, "b c"], Float[Tensor, "b c"]]:
    """Return mean, deviation and maximum of every channel. Raises ValueError as ``mean`` does."""
    if isinstance(where, Packing):
        centre = where.mean(x)
        variance = where.mean((x - centre[where.index]) ** 2)
        return centre, _root(variance), where.maximum(x)
    places = _places(x)
    if where is None:
        variance, centre = torch.var_mean(x, dim=places, correction=0)
        return centre, _root(variance), x.amax(dim=places)
    share = _share(x, where)
    centre = (share * x).sum(dim=places)
    variance = (share * (x - spread(centre, x)) ** 2).sum(dim=places)
    outside = _weights(x, where) <= 0
    return centre, _root(variance), x.masked_fill(outside, -torch.inf).amax(dim=places)


def spread(
    gate: Float[Tensor, "b c *shared"], x: Float[Tensor, "..."], where: Where = None
) -> Float[Tensor, "..."]:
    """Return a value per sample and channel at every place of x, ready to be multiplied with it.

    Further axes of the gate are the first places of x: (b, c, t) for frames of (b, c, t, h, w).
    """
    if isinstance(where, Packing):
        return gate[where.index]
    return gate[(...,) + (None,) * (x.dim() - gate.dim())]


def _places(x: Tensor) -> tuple[int, ...]:
    if x.dim() < 3:
        raise ValueError(f"a dense batch has shape (b, c, *places), got {tuple(x.shape)}")
    return tuple(range(2, x.dim()))


def _root(variance: Tensor) -> Tensor:
    """Return the square root, whose gradient where nothing varies is 0 and not NaN."""
    if not variance.requires_grad:
        return variance.sqrt()
    varies = variance > 0
    return torch.where(varies, torch.where(varies, variance, 1).sqrt(), 0)


def _weights(x: Tensor, weights: Tensor) -> Tensor:
    expected = (x.shape[0], *x.shape[2:])
    if tuple(weights.shape) != expected or not weights.is_floating_point():
        got = f"{tuple(weights.shape)} of {weights.dtype}"
        raise ValueError(f"weights must have shape {expected} and be of floating point, got {got}")
    return weights[:, None]


def _share(x: Tensor, weights: Tensor) -> Tensor:
    """Return the weights so that they sum to 1 over the places of each sample."""
    weights = _weights(x, weights)
    whole = weights.sum(dim=_places(weights), keepdim=True)
    return weights / whole.clamp_min(torch.finfo(weights.dtype).tiny)
