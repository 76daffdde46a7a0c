"""Spectrograms whose bands are alike in level and spread for normal sound.

For the log-mel spectrogram y (mels, frames) of ``models.spectrogram``, in bels, and the means and
deviations of its bands over all frames of normal sound::

    z_m = (y_m - mean_m) / max(deviation_m, LEAST_DEVIATION)

A band in which nothing sounds, such as one above half the rate at which the clips were recorded,
hardly varies; without a least deviation its rounding would be blown up to the size of all else.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from models.spectrogram import LogMel, Spectrogram

LEAST_DEVIATION = 0.1
"""Of a band, in bels: 1 dB. Ours."""


@dataclass(frozen=True, slots=True)
class StandardLogMel:
    """A preparation (``models.preprocess.Preparation``) of sound, of one sampling rate.

    Args:
        spectrogram: how it is made.
        loudness: whether loudness counts.
        mean: of every band over the frames of normal sound, in bels.
        deviation: of every band, likewise.

    Raises:
        ValueError: if there are not as many means and deviations as bands.
    """

    spectrogram: LogMel
    loudness: bool
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        told = (len(self.mean), len(self.deviation))
        if told != (self.spectrogram.mels,) * 2:
            raise ValueError(
                f"{self.spectrogram.mels} bands need as many means and deviations, got {told}"
            )

    def prepare(self, sample: Float[np.ndarray, "..."]) -> Spectrogram:
        """Return z, float32, of a waveform (t,) at the spectrogram's rate; thread-safe.

        Raises:
            ValueError: as ``LogMel.energies``.
        """
        mean, deviation = (
            np.array(values, np.float32)[:, None] for values in (self.mean, self.deviation)
        )
        centred = bels(sample, self.spectrogram, loudness=self.loudness) - mean
        prepared: np.ndarray = centred / np.maximum(deviation, np.float32(LEAST_DEVIATION))
        return prepared

    def blank(self) -> Spectrogram:
        """Return what is normal throughout."""
        return self.spectrogram.blank()

    def inputs(
        self, samples: Sequence[np.ndarray], device: torch.device
    ) -> tuple[tuple[Float[Tensor, "b mels frames"], Float[Tensor, "b frames"]], None]:
        """Return the clips, padded with 0 to the longest, and weights: 1 where no padding is.

        Raises:
            ValueError: as ``LogMel.inputs``.
        """
        (x, weights), _ = self.spectrogram.inputs(samples, device)
        return (x[:, 0], weights[:, 0]), None

    def thumbnails(self, samples: Sequence[np.ndarray]) -> UInt8[np.ndarray, "b 3 t t"]:
        """Return the spectrograms in grey, as ``LogMel.thumbnails``."""
        return self.spectrogram.thumbnails(samples)


def bels(waveform: Float[np.ndarray, "..."], spectrogram: LogMel, *, loudness: bool) -> Spectrogram:
    """Return y of a waveform. Raises ValueError as ``LogMel.energies``."""
    make = spectrogram.loud if loudness else spectrogram.prepare
    return make(waveform, spectrogram.rate_hz)


def levels(
    clips: Iterable[Float[np.ndarray, "_ _"]],
) -> tuple[Float[np.ndarray, " mels"], Float[np.ndarray, " mels"]]:
    """Return mean and deviation of every band over the frames of all clips, float64.

    One clip is in memory at a time. Raises ValueError if there is no clip.
    """
    frames, total, square = 0, 0.0, 0.0
    for clip in clips:
        values = clip.astype(np.float64)
        frames += values.shape[1]
        total = total + values.sum(axis=1)
        square = square + (values**2).sum(axis=1)
    if not frames:
        raise ValueError("there is no clip to take levels of")
    mean = np.asarray(total) / frames
    return mean, np.sqrt(np.maximum(np.asarray(square) / frames - mean**2, 0))
