"""From pixels to the network's input: antialiased resize to a square, then normalisation.

The resize is torch's antialiased bilinear on uint8, which gives Pillow's pixels but for rounding;
an image that already has the wanted side is left alone. The aspect ratio is not kept: all of the
picture is seen.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

MEAN, DEVIATION = 127.0, 128.0
"""Of EfficientNet-Lite, in grey levels, for all three channels (its published preprocessing)."""

VERSION = "bilinear-antialias-square-1"
"""Names what ``resize`` does; enters the backbone's fingerprint."""


def resize(image: UInt8[np.ndarray, "h w 3"], side_px: int) -> UInt8[np.ndarray, "3 s s"]:
    """Return the image resized to a square of ``side_px``, channels first."""
    writable = np.require(image, requirements=["C", "W"])  # torch warns of read-only memory
    pixels = torch.from_numpy(writable).permute(2, 0, 1)[None]
    if pixels.shape[2:] != (side_px, side_px):
        pixels = functional.interpolate(
            pixels, size=(side_px, side_px), mode="bilinear", antialias=True
        )
    return np.ascontiguousarray(pixels[0].numpy())


def normalise(pixels: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Return ``(pixels - MEAN) / DEVIATION`` as float32."""
    return (pixels.float() - MEAN) / DEVIATION
