"""Scale rows by what was fitted: each channel by its standard deviation."""

import numpy as np
from jaxtyping import Float

from detector.moments import Moments

_FLOOR = 1e-6
"""Least deviation, relative to the largest: a channel that never varied must not decide alone."""


def deviations(moments: Moments) -> Float[np.ndarray, " d"]:
    """Return the standard deviation of every channel, (d,), kept above zero."""
    deviation = np.sqrt(np.maximum(np.diag(moments.scatter), 0.0) / max(moments.n, 1))
    highest = float(deviation.max())
    kept: np.ndarray = np.maximum(deviation, _FLOOR * highest if highest > 0 else 1.0)
    return kept


def scaled(moments: Moments, deviation: Float[np.ndarray, " d"]) -> Moments:
    """Return the moments of the rows divided by ``deviation``."""
    scatter = moments.scatter / np.outer(deviation, deviation)
    return Moments(moments.n, moments.mean / deviation, scatter)
