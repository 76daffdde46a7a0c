"""Learning sound by what was done to it: which change was made, and what was there before?

One of ``CHANGES`` is drawn for every clip and made to a part of it, and the network, with one
linear map of the mean of its features over time, is to say which (cross-entropy). It can only by
knowing what the normal sound has at which frequency, in which order, and how fast::

    none        as it is
    reversed    backwards
    raised      all bands moved up, by 2 bands to an eighth of them; the edge is repeated
    lowered     likewise down
    slowed      stretched over time, 1.25 to 1.6 times, linearly between frames
    hurried     shortened likewise
    shuffled    cut into eight pieces, in another order
    tilted      0.5 to 1.2 deviations added at one end of the bands and taken off at the other

Also, with one linear map of the features of every frame, it restores what is hidden (mean squared
error there): runs of ``RUN`` frames, ``HIDDEN_TIME`` of all, and of ``ROW`` bands, ``HIDDEN_BANDS``
of all, are set to 0, what is normal on average. The two losses are added.

Source: Golan & El-Yaniv, "Deep anomaly detection using geometric transformations",
arXiv:1805.10917 (predicting transformations of normal samples to find others; of images, and
scored by the prediction). Ours: the changes of sound, what is hidden, and that the squeezes are
the score.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from models import pooling
from models.kinds.band_network import BandNetwork
from models.self_supervision import Task

CHANGES = ("none", "reversed", "raised", "lowered", "slowed", "hurried", "shuffled", "tilted")
FASTEST, SLOWEST = 1.25, 1.6
PIECES = 8
RUN, HIDDEN_TIME = 4, 0.4
ROW, HIDDEN_BANDS = 8, 0.25
MOST_FRAMES = 320
"""Longest part of a clip that a step looks at, so that long clips take no longer than others."""


class SoundChanges(Task):
    """Which change was made to each clip, and what was where something is hidden?

    Args:
        network: what learns.
    """

    network: BandNetwork

    def __init__(self, network: BandNetwork) -> None:
        super().__init__()
        self.network = network
        self.which = nn.Linear(network.width, len(CHANGES))
        self.what = nn.Conv1d(network.width, network.mels, kernel_size=1)

    def loss(self, inputs: tuple[Tensor, ...], rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the loss of a batch of spectrograms (b, m, t), weights (b, t)."""
        x, weights = inputs
        lengths = (weights > 0).sum(dim=1).tolist()
        clips = [_part(clip[:, :length], rng) for clip, length in zip(x, lengths, strict=True)]
        return self._prediction(clips, rng) + self._restoration(clips, rng)

    def _prediction(self, clips: Sequence[Tensor], rng: torch.Generator) -> Tensor:
        labels = torch.randint(len(CHANGES), (len(clips),), generator=rng)
        pairs = zip(clips, labels.tolist(), strict=True)
        x, weights = _padded([changed(clip, CHANGES[label], rng) for clip, label in pairs])
        features = pooling.mean(self.network.forward_features(x, weights), weights)
        return functional.cross_entropy(self.which(features), labels.to(x.device))

    def _restoration(self, clips: Sequence[Tensor], rng: torch.Generator) -> Tensor:
        x, weights = _padded(clips)
        samples, mels, frames = x.shape
        times = torch.rand(samples, 1, -(-frames // RUN), generator=rng) < HIDDEN_TIME
        bands = torch.rand(samples, -(-mels // ROW), 1, generator=rng) < HIDDEN_BANDS
        hidden = (
            times.repeat_interleave(RUN, dim=2)[:, :, :frames]
            | bands.repeat_interleave(ROW, dim=1)[:, :mels]
        ).to(x.device)
        restored = self.what(self.network.forward_features(x.masked_fill(hidden, 0), weights))
        counts = hidden * weights[:, None]
        wrong: Tensor = ((restored - x) ** 2 * counts).sum()
        return wrong / counts.sum().clamp_min(1)


def changed(
    clip: Float[Tensor, "m t"], change: str, rng: torch.Generator
) -> Float[Tensor, "m frames"]:
    """Return a clip with one of ``CHANGES`` made to it; how much of it is drawn.

    Raises:
        ValueError: if there is no such change.
    """
    mels, frames = clip.shape
    if change == "none":
        return clip
    if change == "reversed":
        return clip.flip(1)
    if change in ("raised", "lowered"):
        by = min(2 + int(_uniform(0.0, max(mels / 8 - 1, 1.0), rng)), mels - 1)
        if change == "raised":
            return torch.cat([clip[:1].expand(by, -1), clip[:-by]])
        return torch.cat([clip[by:], clip[-1:].expand(by, -1)])
    if change in ("slowed", "hurried"):
        factor = _uniform(FASTEST, SLOWEST, rng)
        wanted = round(frames * factor if change == "slowed" else frames / factor)
        return functional.interpolate(clip[None], size=max(wanted, 1), mode="linear")[0]
    if change == "shuffled":
        pieces = torch.split(clip, max(frames // PIECES, 1), dim=1)
        return torch.cat([pieces[at] for at in torch.randperm(len(pieces), generator=rng)], dim=1)
    if change == "tilted":
        ramp = torch.linspace(-1, 1, mels, device=clip.device, dtype=clip.dtype)[:, None]
        sign = 1 if _uniform(0.0, 1.0, rng) < 0.5 else -1
        return clip + sign * _uniform(0.5, 1.2, rng) * ramp
    raise ValueError(f"there is no change {change!r}; there is: {', '.join(CHANGES)}")


def _part(clip: Float[Tensor, "m t"], rng: torch.Generator) -> Float[Tensor, "m frames"]:
    """Return a part of a clip, anywhere in it, of at most ``MOST_FRAMES`` frames."""
    room = max(clip.shape[1] - MOST_FRAMES, 0)
    start = int(torch.randint(room + 1, (), generator=rng))
    return clip[:, start : start + MOST_FRAMES]


def _padded(
    clips: Sequence[Float[Tensor, "m _"]],
) -> tuple[Float[Tensor, "b m t"], Float[Tensor, "b t"]]:
    """Return clips padded with 0 to the longest, and weights: 1 where no padding is."""
    longest = max(clip.shape[1] for clip in clips)
    room = [(0, longest - clip.shape[1]) for clip in clips]
    x = torch.stack([functional.pad(clip, at) for clip, at in zip(clips, room, strict=True)])
    ones = [
        functional.pad(clip.new_ones(clip.shape[1]), at)
        for clip, at in zip(clips, room, strict=True)
    ]
    return x, torch.stack(ones)


def _uniform(least: float, most: float, rng: torch.Generator) -> float:
    return least + (most - least) * float(torch.rand((), generator=rng))
