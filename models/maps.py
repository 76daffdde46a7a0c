"""Maps: what the SE blocks saw of one sample, place by place, and how much each place counts.

For the input x of a block, (c, *places), and the weights w >= 0 of its places (all alike where none
were told, ``models.pooling``)::

    share_p = w_p / sum w            sums to 1; 0 for padding, and outside a region of interest

so that the squeeze is ``sum_p share_p x_cp``. A packed graph's n nodes are its places: (c, n).
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from models.pooling import Packing, Where


@dataclass(frozen=True, slots=True)
class BlockMap:
    """The input of one SE block for one sample, and the places' shares of a mean over it."""

    x: Float[np.ndarray, " c *places"]
    share: Float[np.ndarray, "*places"]

    @classmethod
    def of(cls, x: Float[Tensor, "..."], where: Where = None) -> "BlockMap":
        """Return a copy, on the CPU, of what a block was told.

        Args:
            x: (1, c, *places), or the packed nodes (n, c) of one graph.
            where: how much each place counts, or the packing.

        Raises:
            ValueError: if there is not exactly one sample.
        """
        packed = isinstance(where, Packing)
        samples = where.sizes.shape[0] if isinstance(where, Packing) else x.shape[0]
        if samples != 1:
            raise ValueError(f"a map is of one sample, got {samples}")
        values = x.T if packed else x[0]
        places = tuple(values.shape[1:])
        weights = where[0] if isinstance(where, Tensor) else torch.ones(places)
        share = weights.detach().to("cpu", torch.float64).numpy()
        copied = values.detach().to("cpu", copy=True).contiguous().numpy()
        return cls(copied, share / max(share.sum(), np.finfo(np.float64).tiny))
