"""From pixels to the network's input: antialiased resize to a square, then normalisation.

For a uint8 image x, in grey levels, and channel c::

    input_c = (resize(x)_c - mean_c) / deviation_c

The resize is torch's antialiased one on uint8, which gives Pillow's pixels but for rounding; an
image that already has the wanted side is left alone. The aspect ratio is not kept: all of the
picture is seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

VERSION = "antialias-square-2-jpeg-2x"
"""Names what ``resize`` does, and from which pixels: ``detector.imaging`` decodes a large JPEG to
no less than twice the side. Enters the backbone's fingerprint."""

THUMBNAIL_PX = 64
_BLANK_PX = 256

Channels = tuple[float, float, float]


@runtime_checkable
class Preparation(Protocol):
    """What a backbone needs to be shown samples of its kind: pictures, sound, tokens.

    A prepared sample is one array; what stands for its settings, ``str()``, enters the
    backbone's fingerprint.
    """

    def blank(self) -> np.ndarray:
        """Return some prepared sample, to run a network dry."""

    def inputs(
        self, samples: Sequence[np.ndarray], device: torch.device
    ) -> tuple[tuple[Tensor, ...], Float[Tensor, "b 1 h w"] | None]:
        """Return a network's inputs on the device, and how much each pixel counts, where told."""

    def thumbnails(self, samples: Sequence[np.ndarray]) -> UInt8[np.ndarray, "b 3 t t"]:
        """Return a small picture of each sample, which depends on that sample alone."""


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

    def blank(self) -> UInt8[np.ndarray, "3 s s"]:
        """Return a black picture."""
        return np.zeros((3, _BLANK_PX, _BLANK_PX), np.uint8)

    def inputs(
        self, samples: Sequence[UInt8[np.ndarray, "channels s s"]], device: torch.device
    ) -> tuple[tuple[Tensor], Float[Tensor, "b 1 h w"] | None]:
        """Return normalised images, channels last, and how much each pixel counts."""
        pixels = torch.from_numpy(np.stack(samples)).to(device, non_blocking=True)
        x, weights = self.shown(pixels)
        return (x.contiguous(memory_format=torch.channels_last),), weights

    def shown(
        self, pixels: UInt8[Tensor, "b channels s s"]
    ) -> tuple[Float[Tensor, "b 3 s s"], Float[Tensor, "b 1 s s"] | None]:
        """Return what a network is shown of prepared pixels, and how much each pixel counts.

        A fourth channel says how much each pixel counts; pixels that do not count at all are not
        seen: they are mid-grey to the network, whatever is there.
        """
        x = self.normalise(pixels[:, :3])
        if pixels.shape[1] == 3:
            return x, None
        weights = pixels[:, 3:].float()
        return x * (weights > 0), weights

    def thumbnails(
        self, samples: Sequence[UInt8[np.ndarray, "channels s s"]]
    ) -> UInt8[np.ndarray, "b 3 t t"]:
        """Return the pictures resized."""
        pixels = torch.from_numpy(np.stack(samples)[:, :3])
        small = functional.interpolate(
            pixels, size=(THUMBNAIL_PX, THUMBNAIL_PX), mode="bilinear", antialias=True
        )
        thumbnails: np.ndarray = small.numpy()
        return thumbnails

    def normalise(self, pixels: UInt8[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """Return ``(pixels - mean) / deviation`` as float32."""
        mean, deviation = (
            torch.tensor(values, dtype=torch.float32, device=pixels.device)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (pixels.float() - mean) / deviation


LITE0 = Preprocessing(mean=(127.0,) * 3, deviation=(128.0,) * 3)
"""Of EfficientNet-Lite (its published preprocessing)."""
