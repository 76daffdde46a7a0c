"""From the frames of clips to a network's input: standardised, side by side, padded at the end.

For a clip of t frames of s x s pixels, in grey levels, and the mean and deviation of each channel
over all pixels of normal clips::

    input_c = (pixels_c - mean_c) / deviation_c        (3, t, s, s)

A batch of clips of several lengths is as long as the longest; behind the end of the others is 0,
and a second input (b, t) says which frames are a clip's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from models.preprocess import LITE0, THUMBNAIL_PX, Channels

MIN_FRAMES = 4
"""Fewest frames of a clip: there is motion, and change of motion."""
_LEAST_DEVIATION = 1.0  # grey level: all-black clips have none


@dataclass(frozen=True, slots=True)
class ClipPreparation:
    """What a network of clips is shown: square frames, standardised.

    Attributes:
        side_px: of every frame.
        mean: of red, green and blue, in grey levels.
        deviation: of them.
    """

    side_px: int
    mean: Channels = (127.5,) * 3
    deviation: Channels = (64.0,) * 3

    def blank(self) -> UInt8[np.ndarray, "t s s 3"]:
        """Return a black clip."""
        return np.zeros((2 * MIN_FRAMES, self.side_px, self.side_px, 3), np.uint8)

    def prepare(self, frames: np.ndarray) -> UInt8[np.ndarray, "t s s 3"]:
        """Return the frames (t, h, w, 3), uint8, resized if they have another size; thread-safe.

        Raises:
            ValueError: if they are no clip of ``MIN_FRAMES`` or more.
        """
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
            raise ValueError(
                f"a clip is uint8 of shape (t, h, w, 3), got {frames.dtype} {frames.shape}"
            )
        if len(frames) < MIN_FRAMES or 0 in frames.shape:
            raise ValueError(f"a clip has {MIN_FRAMES} frames or more, got shape {frames.shape}")
        if frames.shape[1:3] == (self.side_px, self.side_px):
            return np.ascontiguousarray(frames)
        return np.stack([square(frame, self.side_px) for frame in frames])

    def inputs(
        self, samples: Sequence[UInt8[np.ndarray, "_ s s 3"]], device: torch.device
    ) -> tuple[tuple[Tensor, ...], None]:
        """Return clips (b, 3, t, s, s) and, if their lengths differ, where they are (b, t)."""
        lengths = [len(sample) for sample in samples]
        longest = max(lengths)
        pixels = np.zeros((len(samples), longest, *samples[0].shape[1:]), np.uint8)
        inside = np.zeros((len(samples), longest), np.float32)
        for row, (sample, length) in enumerate(zip(samples, lengths, strict=True)):
            pixels[row, :length] = sample
            inside[row, :length] = 1
        shown = torch.from_numpy(pixels).to(device).movedim(-1, 1).float()
        mean, deviation = (
            torch.tensor(values, dtype=torch.float32, device=device)[:, None, None, None]
            for values in (self.mean, self.deviation)
        )
        x = (shown - mean) / deviation
        if min(lengths) == longest:
            return (x,), None
        where = torch.from_numpy(inside).to(device)
        return (x * where[:, None, :, None, None], where), None

    def thumbnails(
        self, samples: Sequence[UInt8[np.ndarray, "_ s s 3"]]
    ) -> UInt8[np.ndarray, "b 3 p p"]:
        """Return the frame in the middle of each clip, small."""
        middle = np.stack([sample[len(sample) // 2] for sample in samples])
        pixels = torch.from_numpy(middle).permute(0, 3, 1, 2)
        small: np.ndarray = functional.interpolate(
            pixels, size=(THUMBNAIL_PX, THUMBNAIL_PX), mode="bilinear", antialias=True
        ).numpy()
        return small


def square(frame: UInt8[np.ndarray, "h w 3"], side_px: int) -> UInt8[np.ndarray, "s s 3"]:
    """Return a frame resized to a square, antialiased; all of it is seen."""
    return np.ascontiguousarray(LITE0.resize(frame, side_px).transpose(1, 2, 0))


def channel_statistics(
    clips: Sequence[UInt8[np.ndarray, "_ _ _ 3"]],
) -> tuple[Channels, Channels]:
    """Return mean and deviation of red, green and blue over all pixels, every clip counting alike.

    The deviation is 1 grey level at least.
    """
    levels = np.arange(256, dtype=np.float64)
    moments = np.zeros((2, 3))
    for clip in clips:  # counts are exact, where running sums of millions of pixels are not
        for channel in range(3):
            counts = np.bincount(clip[..., channel].ravel(), minlength=256)
            shares = counts / (counts.sum() * len(clips))
            moments[:, channel] += shares @ levels, shares @ levels**2
    mean, square_ = moments
    deviation = np.sqrt(np.maximum(square_ - mean**2, _LEAST_DEVIATION**2))
    red, green, blue = (round(float(value), 3) for value in mean)
    reds, greens, blues = (round(float(value), 3) for value in deviation)
    return (red, green, blue), (reds, greens, blues)
