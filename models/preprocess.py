"""From pixels to the network's input: antialiased resize to a square, then normalisation.

For a uint8 image x, in grey levels, and channel c::

    input_c = (resize(x)_c - mean_c) / deviation_c

The resize is torch's antialiased one on uint8, which gives Pillow's pixels but for rounding; an
image that already has the wanted side is left alone. The aspect ratio is not kept: all of the
picture is seen.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

VERSION = "antialias-square-1"
"""Names what ``resize`` does; enters the backbone's fingerprint."""

Channels = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What a network was trained to be shown: red, green and blue in grey levels, 0..255."""

    mean: Channels
    deviation: Channels
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def resize(
        self, image: UInt8[np.ndarray, "h w channels"], side_px: int
    ) -> UInt8[np.ndarray, "channels s s"]:
        """Return the image resized to a square of ``side_px``, channels first; thread-safe."""
        writable = np.require(image, requirements=["C", "W"])  # torch warns of read-only memory
        pixels = torch.from_numpy(writable).permute(2, 0, 1)[None]
        if pixels.shape[2:] != (side_px, side_px):
            pixels = functional.interpolate(
                pixels, size=(side_px, side_px), mode=self.interpolation, antialias=True
            )
        return np.ascontiguousarray(pixels[0].numpy())

    def normalise(self, pixels: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Return ``(pixels - mean) / deviation`` as float32."""
        mean, deviation = (
            torch.tensor(values, dtype=torch.float32, device=pixels.device)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (pixels.float() - mean) / deviation


LITE0 = Preprocessing(mean=(127.0,) * 3, deviation=(128.0,) * 3)
"""Of EfficientNet-Lite (its published preprocessing)."""
