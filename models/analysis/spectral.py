"""What a squeeze over time and frequency hears: amplitude times support, and not which way it runs.

A component of a spectrogram (f bins, t frames) has the amplitude A on ``bins`` of the bins during
``frames`` of the frames, and 0 elsewhere. It covers the share rho of the spectrogram::

    rho = (bins / f) (frames / t)
    squeeze over both axes          s    = A rho
    squeeze over time               s_k  = A frames / t  in its bins, 0 in the others      (f,)
    squeeze over frequency          s_i  = A bins / f    in its frames, 0 in the others    (t,)

A sustained tone has few bins and all frames, a click all bins and few frames: horizontal and
vertical lines of the spectrogram. The squeeze over both axes cannot tell them apart, nor a faint
long tone from a loud short click: with equal A rho they get one squeeze and hence one gate. A
squeeze over one axis can. The peak of each over its mean is free of A::

    peak over mean, squeezed over time         f / bins        large for a tone, 1 for a click
    peak over mean, squeezed over frequency    t / frames      1 for a tone, large for a click

Source: Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010, abstract
(medians across frames keep the harmonic part, medians across bins the percussive one).
Ours: the same two directions for means, which is what a squeeze is.
"""

import torch
from jaxtyping import Float
from torch import Tensor

Spectrogram = Float[Tensor, "*lead f t"]


def component(
    amplitude: float, bins: range, frames: range, shape: tuple[int, int]
) -> Float[Tensor, "f t"]:
    """Return a spectrogram of the shape (f, t), float64, with one component.

    Raises:
        ValueError: if bins or frames are none, or leave the spectrogram.
    """
    for name, span, side in zip(("bins", "frames"), (bins, frames), shape, strict=True):
        if not span or min(span) < 0 or max(span) >= side:
            raise ValueError(f"{name} must be some of range({side}), got {span}")
    spectrogram = torch.zeros(shape, dtype=torch.float64)
    spectrogram[torch.tensor(bins)[:, None], torch.tensor(frames)] = amplitude
    return spectrogram


def tone(amplitude: float, bins: range, shape: tuple[int, int]) -> Float[Tensor, "f t"]:
    """Return a harmonic component: few bins, all frames. Raises ValueError as ``component``."""
    return component(amplitude, bins, range(shape[1]), shape)


def click(amplitude: float, frames: range, shape: tuple[int, int]) -> Float[Tensor, "f t"]:
    """Return a percussive component: all bins, few frames. Raises ValueError as ``component``."""
    return component(amplitude, range(shape[0]), frames, shape)


def squeeze_of(amplitude: float, bins: int, frames: int, shape: tuple[int, int]) -> float:
    """Return A rho, the squeeze of a component over time and frequency."""
    return amplitude * (bins / shape[0]) * (frames / shape[1])


def amplitude_for(squeeze: float, bins: int, frames: int, shape: tuple[int, int]) -> float:
    """Return the amplitude at which a component has this squeeze: the trade-off, s / rho."""
    return squeeze / squeeze_of(1.0, bins, frames, shape)


def over_time(spectrogram: Spectrogram) -> Float[Tensor, "*lead f"]:
    """Return the squeeze over time alone: one number for every bin."""
    return spectrogram.mean(dim=-1)


def over_frequency(spectrogram: Spectrogram) -> Float[Tensor, "*lead t"]:
    """Return the squeeze over frequency alone: one number for every frame."""
    return spectrogram.mean(dim=-2)


def peak_over_mean(squeeze: Float[Tensor, "*lead n"]) -> Float[Tensor, "*lead"]:
    """Return how far a squeeze over one axis is from even: 1 where it is, n where it is a line."""
    return squeeze.amax(dim=-1) / squeeze.mean(dim=-1)


def harmonicity(spectrogram: Spectrogram) -> Float[Tensor, "*lead"]:
    """Return the logarithm of the two ratios' ratio: log((f / bins) / (t / frames)).

    Positive for what lies along time, negative for what stands across frequency; no amplitude
    changes it.
    """
    return (
        peak_over_mean(over_time(spectrogram)) / peak_over_mean(over_frequency(spectrogram))
    ).log()
