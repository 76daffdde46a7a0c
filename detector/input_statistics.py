"""What an image looks like before any network: how bright, how contrasted, how sharp.

With y the luminance in grey levels (0..255) of the prepared picture, over the pixels that count::

    y = (77 R + 150 G + 29 B) / 256, rounded down                             (ITU-R BT.601)
    brightness = mean y        contrast = sd y        sharpness = mean |4 y - its four neighbours|

Sums are of whole numbers, so a picture has the same statistics alone and in any company. A pixel
counts unless a mask gives it weight 0; for sharpness its four neighbours must count, too, as the
edge of a mask is no edge in the picture. Where no pixel has four such neighbours, sharpness is 0.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8

Inputs = Float32[np.ndarray, "n 3"]
"""Brightness, contrast and sharpness of n images."""


def input_statistics(samples: Sequence[UInt8[np.ndarray, "channels s s"]]) -> Inputs:
    """Return them, in grey levels, of prepared pictures; a fourth channel is a mask."""
    return np.array([_of_one(sample) for sample in samples], np.float32).reshape(-1, 3)


def _of_one(sample: UInt8[np.ndarray, "channels s s"]) -> tuple[float, float, float]:
    red, green, blue = sample[:3].astype(np.uint16)
    y = (77 * red + 150 * green + 29 * blue) >> 8  # 255 * 256 is the most, which 16 bits hold
    signed = y.view(np.int16)
    edges = signed[1:-1, 1:-1] << 2
    for neighbours in (signed[:-2, 1:-1], signed[2:, 1:-1], signed[1:-1, :-2], signed[1:-1, 2:]):
        edges -= neighbours
    np.abs(edges, out=edges)
    if len(sample) > 3:
        counts = sample[3] > 0
        inner = counts[1:-1, 1:-1] & counts[:-2, 1:-1] & counts[2:, 1:-1]
        edges = edges[inner & counts[1:-1, :-2] & counts[1:-1, 2:]]
        y = y[counts]
    n = max(y.size, 1)
    mean = int(y.sum(dtype=np.uint32)) / n  # of at most 1024 x 1024 pixels: 32 bits hold it
    square = int((y * y).sum(dtype=np.uint64)) / n
    sharpness = int(edges.sum(dtype=np.int32)) / max(edges.size, 1)
    return mean, max(square - mean**2, 0.0) ** 0.5, sharpness
