"""Descriptors: the recipe that turns an embedding into rows, one array per block.

=================  =====================================  ==========
name               row of a block with c channels         width
=================  =====================================  ==========
``gate``           the gates g                            c
``squeeze``        the squeeze, mean over pixels          c
``squeeze_stats``  mean, standard deviation and maximum   3 c
=================  =====================================  ==========
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from detector.embedder import Embedding

BlockRows = dict[str, Float32[np.ndarray, "n d"]]
"""Block name -> rows (n, d), blocks in the order in which they run."""


def gate(embedding: Embedding) -> BlockRows:
    """Return the gates."""
    return embedding.gate


def squeeze(embedding: Embedding) -> BlockRows:
    """Return the squeezes."""
    return embedding.mean


def squeeze_stats(embedding: Embedding) -> BlockRows:
    """Return mean, standard deviation and maximum side by side."""
    return {
        block: np.concatenate([mean, embedding.std[block], embedding.maximum[block]], axis=1)
        for block, mean in embedding.mean.items()
    }


DESCRIPTORS: dict[str, Callable[[Embedding], BlockRows]] = {
    "gate": gate,
    "squeeze": squeeze,
    "squeeze_stats": squeeze_stats,
}
