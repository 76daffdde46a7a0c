"""Colours of a map's places, on a scale tied to the threshold; the same as of images' maps.

Of n places with shares v_i of a score, v_i n is the score of a sample all of whose places were like
the i-th. So v_i n / threshold is 1 where such a sample would be at the line: up to 0.8 nothing is
painted, at 1 it is yellow, from 1.6 on red, opaquer on the way. Without a threshold the greatest
share stands for the line's double.
"""

import numpy as np
from jaxtyping import Float, UInt8

CLEAR, FULL = 0.8, 1.6
YELLOW, RED = np.array([255.0, 215.0, 0.0]), np.array([215.0, 0.0, 20.0])
OPACITY = 0.75


def ratios(values: Float[np.ndarray, "..."], threshold: float | None) -> Float[np.ndarray, "..."]:
    """Return of every share how many times over the line a sample of such places would be."""
    if not values.size:
        return values
    whole = values * values.size
    line = threshold if threshold is not None else float(whole.max()) / 2
    # A line at 0 or below makes all of it odd: the least share that is told from 0 will do for it.
    result: np.ndarray = whole / max(line, 1e-9 * float(np.abs(whole).max()), np.finfo(float).tiny)
    return result


def painted(
    picture: Float[np.ndarray, "h w 3"], ratio: Float[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Return a picture with its odd places coloured."""
    strength = np.clip((ratio - CLEAR) / (FULL - CLEAR), 0, 1)[:, :, None]
    redness = np.clip((ratio - 1) / (FULL - 1), 0, 1)[:, :, None]
    colour = (1 - redness) * YELLOW + redness * RED
    opacity = OPACITY * np.sqrt(strength)
    blended: np.ndarray = np.rint((1 - opacity) * picture + opacity * colour).astype(np.uint8)
    return blended
