"""Descriptors: the recipe that turns an embedding into rows, one array per block.

=================  =============================================  ===========
name               row of a block with c channels                 width
=================  =============================================  ===========
``gate``           the gates g                                    c
``gate_logit``     ln(g / (1 - g)), g kept off 0 and 1 by 1e-6    c
``squeeze``        the squeeze, mean over pixels                  c
``squeeze_stats``  mean, standard deviation and maximum           3 c
``regional``       channels of all blocks, for each cell          at most 96
=================  =============================================  ===========

Image-level rows wider than 512 are projected to 512, regional ones are picked from
(``detector.projection``). ``regional`` has one entry, named ``regional``.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32

from detector import projection
from detector.embedding import Embedding
from detector.errors import InvalidSpecError
from detector.options import Options

REGIONAL = "regional"
SATURATION = 1e-6
"""How near a gate may come to 0 and 1 before its logit is taken; hard sigmoids reach both."""

BlockRows = Mapping[str, Float32[np.ndarray, "n ..."]]
"""Name -> rows, (n, d) of a block in the order in which blocks run, or (n, k, d) of cells."""


def _gate(embedding: Embedding, block: str) -> np.ndarray:
    return embedding.gate[block]


def _gate_logit(embedding: Embedding, block: str) -> np.ndarray:
    gate = np.clip(embedding.gate[block].astype(np.float64), SATURATION, 1 - SATURATION)
    logit: np.ndarray = (np.log(gate) - np.log1p(-gate)).astype(np.float32)
    return logit


def _squeeze(embedding: Embedding, block: str) -> np.ndarray:
    return embedding.mean[block]


def _squeeze_stats(embedding: Embedding, block: str) -> np.ndarray:
    parts = (embedding.mean[block], embedding.std[block], embedding.maximum[block])
    return np.concatenate(parts, axis=1)


_IMAGE_LEVEL: dict[str, Callable[[Embedding, str], np.ndarray]] = {
    "gate": _gate,
    "gate_logit": _gate_logit,
    "squeeze": _squeeze,
    "squeeze_stats": _squeeze_stats,
}
IMAGE_LEVEL = tuple(_IMAGE_LEVEL)
DESCRIPTORS = (*IMAGE_LEVEL, REGIONAL)


def rows(embedding: Embedding, descriptor: str, options: Options) -> BlockRows:
    """Return the rows of an embedding.

    Raises:
        InvalidSpecError: if the options name a block that the backbone does not have.
    """
    if descriptor == REGIONAL:
        blocks = _chosen(embedding.regional, options)
        return {
            REGIONAL: projection.pick(np.concatenate([embedding.regional[b] for b in blocks], 2))
        }
    recipe = _IMAGE_LEVEL[descriptor]
    return {
        block: projection.project(_normalised(recipe(embedding, block), options))
        for block in _chosen(embedding.gate, options)
    }


def beyond(image_level: BlockRows, embedding: Embedding) -> BlockRows:
    """Return the rows of the blocks after the last one kept by region; all if there is none."""
    names, ends = list(embedding.gate), list(embedding.regional)
    after = names[names.index(ends[-1]) + 1 :] if ends else []
    return {block: image_level[block] for block in after} or image_level


def _normalised(values: np.ndarray, options: Options) -> np.ndarray:
    if options.normalise != "l2":  # zscore needs what was fitted, and is the scorer's
        return values
    length = np.linalg.norm(values, axis=1, keepdims=True)
    unit: np.ndarray = np.divide(values, length, out=np.zeros_like(values), where=length > 0)
    return unit


def _chosen(known: Mapping[str, object], options: Options) -> list[str]:
    """Return the chosen blocks in the order in which they run."""
    unknown = sorted(set(options.blocks) - known.keys())
    if unknown:
        raise InvalidSpecError(f"no block(s) {', '.join(unknown)}; there is: {', '.join(known)}")
    if not known:
        raise InvalidSpecError(
            "this backbone has no block at strides 4 to 16: use scorer gaussian or prototype"
        )
    return [block for block in known if not options.blocks or block in options.blocks]
