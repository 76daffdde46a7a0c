"""From a waveform to the network's input: a log-mel spectrogram, free of the clip's loudness.

For the waveform x, frames of ``window`` samples every ``hop`` samples, only whole ones, and the
periodic Hann window v::

    P[k, i] = |sum_j v_j x_(i hop + j) exp(-2 pi 1j j k / window)|^2      power
    E = B P                                                               mel energies
    L = log10(E / mean(E) + FLOOR)                                        in bels, 10 dB each
    y = L - mean(L)                                                       mels by frames

The bank B (mels, bins) holds triangles of height 1; their feet and tips lie at equal distances on
the mel scale, 0 Hz to half the rate::

    mel(f) = 2595 log10(1 + f / 700)        f in Hz

Both means run over the whole clip. A waveform that is a times as loud has a^2 times the energies,
which leaves y as it is: loudness must not tell one speaker, or one microphone, from another. The
floor is relative to the clip's own level for the same reason.

Where loudness is to count, the level is the waveform's full scale instead, and nothing is taken
off afterwards::

    y = log10(E / window + QUIET)

Source: O'Shaughnessy, "Speech communication: human and machine", 1987, p. 150 (the mel scale).
Ours: floors and normalisation per clip. Silence, which has no level, becomes 0 everywhere where
loudness does not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor
from torch.nn import functional

from models.preprocess import THUMBNAIL_PX

FLOOR = 1e-6
"""Least energy, of the clip's mean energy: 60 dB below it."""
QUIET = 1e-10
"""Least energy where loudness counts: about that of the rounding to 16 bits, full scale being 1."""
_BLANK_FRAMES = 32
_BLOCK_SAMPLES = 2**21
"""Of the frames that are transformed at once, which bounds memory: 16 MiB, several times over."""

Spectrogram = Float[np.ndarray, "mels frames"]


@dataclass(frozen=True, slots=True)
class LogMel:
    """A preparation (``models.preprocess.Preparation``) of sound, for one sampling rate.

    Args:
        rate_hz: samples a second.
        window: samples of a frame.
        hop: samples from one frame to the next.
        mels: bands.

    Raises:
        ValueError: if a number is not positive, or a band is so narrow that no bin falls in it.
    """

    rate_hz: int = 8000
    window: int = 256
    hop: int = 80
    mels: int = 40

    def __post_init__(self) -> None:
        sizes = (self.rate_hz, self.window, self.hop, self.mels)
        if min(sizes) < 1:
            raise ValueError(f"rate_hz, window, hop and mels must be 1 or more, got {sizes}")
        mel_bank(self.mels, self.window, self.rate_hz)

    def prepare(self, waveform: Float[np.ndarray, "..."], rate_hz: int) -> Spectrogram:
        """Return the normalised log-mel spectrogram, float32, of a waveform (t,); thread-safe.

        Raises:
            ValueError: as ``energies``.
        """
        energies = self.energies(waveform, rate_hz)
        level = max(energies.mean(), np.finfo(np.float64).tiny)
        bels = np.log10(energies / level + FLOOR)
        prepared: np.ndarray = (bels - bels.mean()).astype(np.float32)
        return prepared

    def loud(self, waveform: Float[np.ndarray, "..."], rate_hz: int) -> Spectrogram:
        """Return the log-mel spectrogram with its loudness, float32; else as ``prepare``."""
        energies = self.energies(waveform, rate_hz) / self.window
        prepared: np.ndarray = np.log10(energies + QUIET).astype(np.float32)
        return prepared

    def energies(
        self, waveform: Float[np.ndarray, "..."], rate_hz: int
    ) -> Float[np.ndarray, "mels frames"]:
        """Return the energy in every band of every frame, float64; thread-safe.

        Raises:
            ValueError: if the rate is another, or the waveform is not one-dimensional, shorter
                than a frame, or not finite.
        """
        if rate_hz != self.rate_hz:
            raise ValueError(f"the waveform must have {self.rate_hz} Hz, got {rate_hz} Hz")
        if waveform.ndim != 1:
            raise ValueError(f"the waveform must have shape (t,), got {waveform.shape}")
        if len(waveform) < self.window:
            raise ValueError(
                f"the waveform must have {self.window} samples or more, got {len(waveform)}"
            )
        if not np.isfinite(waveform).all():
            raise ValueError("the waveform must be finite, got NaN or infinity")
        bank = mel_bank(self.mels, self.window, self.rate_hz)
        frames = sliding_window_view(waveform, self.window)[:: self.hop]
        energies = np.empty((self.mels, len(frames)))
        block = max(_BLOCK_SAMPLES // self.window, 1)
        for start in range(0, len(frames), block):
            power = self._power(frames[start : start + block])
            energies[:, start : start + block] = bank @ power
        return energies

    def _power(self, frames: np.ndarray) -> np.ndarray:
        """Return |STFT|^2 (bins, frames), float64, of frames (frames, window)."""
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)
        spectrum = np.fft.rfft(frames.astype(np.float64) * hann, axis=1)
        power: np.ndarray = np.abs(spectrum.T) ** 2
        return power

    def blank(self) -> Spectrogram:
        """Return the spectrogram of silence."""
        return np.zeros((self.mels, _BLANK_FRAMES), np.float32)

    def inputs(
        self, samples: Sequence[np.ndarray], device: torch.device
    ) -> tuple[tuple[Float[Tensor, "b 1 mels frames"], Float[Tensor, "b mels frames"]], None]:
        """Return the clips, padded with 0 to the longest, and weights: 1 where no padding is.

        Raises:
            ValueError: if a sample has another number of bands, or no frames.
        """
        for sample in samples:
            if sample.ndim != 2 or sample.shape[0] != self.mels or not sample.shape[1]:
                raise ValueError(
                    f"samples must have shape ({self.mels}, frames), got {sample.shape}"
                )
        longest = max(sample.shape[1] for sample in samples)
        x = torch.zeros(len(samples), 1, self.mels, longest)
        weights = torch.zeros(len(samples), self.mels, longest)
        for row, counts, sample in zip(x, weights, samples, strict=True):
            row[0, :, : sample.shape[1]] = torch.from_numpy(np.ascontiguousarray(sample))
            counts[:, : sample.shape[1]] = 1
        return (x.to(device), weights.to(device)), None

    def thumbnails(self, samples: Sequence[np.ndarray]) -> UInt8[np.ndarray, "b 3 t t"]:
        """Return the spectrograms in grey, high bands on top, each from its least to its most."""
        return np.stack([_thumbnail(sample) for sample in samples])


def mel(frequency_hz: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the pitch of a frequency, in mels."""
    mels: np.ndarray = 2595 * np.log10(1 + frequency_hz / 700)
    return mels


def hertz(mels: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the frequency of a pitch, in Hz: the inverse of ``mel``."""
    frequency_hz: np.ndarray = 700 * (10 ** (mels / 2595) - 1)
    return frequency_hz


@lru_cache
def mel_bank(mels: int, window: int, rate_hz: int) -> Float[np.ndarray, "mels bins"]:
    """Return the triangles, (mels, window // 2 + 1), float64, read-only.

    Raises:
        ValueError: if a triangle is so narrow that no bin falls in it.
    """
    corners = hertz(np.linspace(0, mel(np.array([rate_hz / 2]))[0], mels + 2))
    bins = np.arange(window // 2 + 1) * (rate_hz / window)
    low, tip, high = (corners[start : start + mels, None] for start in range(3))
    bank: np.ndarray = np.minimum((bins - low) / (tip - low), (high - bins) / (high - tip))
    bank = bank.clip(min=0)
    empty = int((bank.max(axis=1) == 0).sum())
    if empty:
        raise ValueError(
            f"{empty} of {mels} mels would hear no bin of a window of {window} samples at "
            f"{rate_hz} Hz: take fewer mels or a longer window"
        )
    bank.flags.writeable = False
    return bank


def _thumbnail(sample: np.ndarray) -> UInt8[np.ndarray, "3 t t"]:
    least, most = float(sample.min()), float(sample.max())
    grey = (sample[::-1] - least) * (255 / max(most - least, 1e-9))
    picture = torch.from_numpy(np.ascontiguousarray(grey))[None, None]
    side = (THUMBNAIL_PX, THUMBNAIL_PX)
    small = functional.interpolate(picture, size=side, mode="bilinear", antialias=True)[0]
    thumbnail: np.ndarray = small.round().clamp(0, 255).to(torch.uint8).repeat(3, 1, 1).numpy()
    return thumbnail
