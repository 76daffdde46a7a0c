"""Squeezes: what a block is told of each channel of a sample.

======================  =======================  ==================================================
``Squeeze``             mean          (b, c)      of Hu et al., equation 2; with weights, over a
                                                  region of interest or what is no padding
``SumSqueeze``          sum           (b, c)      grows with the places: tells a large graph from a
                                                  small one where the mean cannot
``StatisticsSqueeze``   mean, std,    (b, 3 c)    spread and maximum show a small spot that the
                        maximum                   mean hides (compare arXiv:2601.22703)
======================  =======================  ==================================================

Each takes a dense or packed batch and where its places count (``models.pooling``).
Source: Hu et al., arXiv:1709.01507, section 3.1.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models import pooling
from models.pooling import Where


class Squeeze(nn.Module):
    """The mean of every channel: (b, c, *places) or packed (n, c) -> (b, c)."""

    per_channel = 1
    """How many numbers tell of each channel."""

    def forward(self, x: Float[Tensor, "..."], where: Where = None) -> Float[Tensor, "b k"]:
        """Return the squeeze. Raises ValueError if x or the weights have another shape."""
        return pooling.mean(x, where)


class SumSqueeze(Squeeze):
    """The sum of every channel: (b, c, *places) or packed (n, c) -> (b, c)."""

    def forward(self, x: Float[Tensor, "..."], where: Where = None) -> Float[Tensor, "b k"]:
        """Return the squeeze. Raises ValueError if x or the weights have another shape."""
        return pooling.total(x, where)


class StatisticsSqueeze(Squeeze):
    """Mean, deviation and maximum of every channel, side by side: -> (b, 3 c)."""

    per_channel = 3

    def forward(self, x: Float[Tensor, "..."], where: Where = None) -> Float[Tensor, "b k"]:
        """Return the squeeze. Raises ValueError if x or the weights have another shape."""
        return torch.cat(pooling.statistics(x, where), dim=1)
