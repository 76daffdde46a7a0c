"""Seeded fixed projections: wide rows made narrow before moments are taken of them.

Both maps depend on the widths alone, never on data, so moments of projected rows still merge and
forget exactly, and every machine draws the same map::

    project   x P / sqrt(d),  P (c, d) of random signs            lengths kept on average
    pick      d of the c channels, drawn without replacement

Mahalanobis distance does not change under an invertible linear map, so the signs need not be
orthogonal. Regional rows are picked, not projected: picking measured better there.

Source: Achlioptas, "Database-friendly random projections", JCSS 66 (2003), theorem 1.1 (random
signs); Defard et al., "PaDiM", arXiv:2011.08785, section 3.1 (random channels).
"""

from functools import cache

import numpy as np
from jaxtyping import Float32, Float64, Int

MAX_WIDTH = 512
"""Widest image-level row of a block; wider ones are projected to it."""

REGIONAL_WIDTH = 96
"""Channels of a regional row."""

_SEED = 20_111


@cache
def _signs(c: int, d: int) -> Float64[np.ndarray, "c d"]:
    bits = np.random.default_rng([_SEED, c, d]).integers(0, 2, size=(c, d))
    signs: np.ndarray = 2.0 * bits - 1.0
    return signs


@cache
def _chosen(c: int, d: int) -> Int[np.ndarray, " d"]:
    return np.sort(np.random.default_rng([_SEED, c]).permutation(c)[:d])


def project(rows: Float32[np.ndarray, "n c"]) -> Float32[np.ndarray, "n d"]:
    """Return rows no wider than ``MAX_WIDTH``."""
    c = rows.shape[1]
    if c <= MAX_WIDTH:
        return rows
    # In float64, where sums of float32 hardly round: in float32 a row would depend on its batch.
    sums = rows.astype(np.float64) @ _signs(c, MAX_WIDTH)
    projected: np.ndarray = (sums / np.sqrt(MAX_WIDTH)).astype(np.float32)
    return projected


def pick(rows: Float32[np.ndarray, "n k c"]) -> Float32[np.ndarray, "n k d"]:
    """Return at most ``REGIONAL_WIDTH`` of the channels."""
    c = rows.shape[2]
    return rows if c <= REGIONAL_WIDTH else np.take(rows, _chosen(c, REGIONAL_WIDTH), axis=2)
