"""A network of clips: what moves in them, and which pace of time they were shown at.

For a standardised clip x (b, 3, t, h, w), its grey y (the mean of its colours), y' = y_i - y_(i-1)
and the gradient (y_u, y_v) by central differences, the *motion* of every pixel is::

    |y'|     -y' y_u / (y_u^2 + y_v^2 + epsilon)     -y' y_v / (...)     |y'_i - y'_(i-1)|

the change, the flow along the gradient (how far an edge went, with its sign; what Horn & Schunck's
constraint y_u du + y_v dv + y' = 0 tells of it), and the change of the change. SE blocks see:

==============  =======================================================================  ==========
block           channels                                                                 places
==============  =======================================================================  ==========
``motion``      of every frame: mean flow, logarithms of means and deviations of the     t
                motion's magnitudes, and how much all of these changed in one frame
``changes``     of every frame: logarithms of mean, deviation and maximum of the         t
                colours' mean change at half the side, and of its mean over 5x5 pixels,
                and how much these changed in one frame
``stages.k``    the features of a ``VideoStage`` over pictures and motion, gated for     t, h, w
                every frame, smoothed over time
==============  =======================================================================  ==========

The first two are standardised by batch normalisation without weights, so that no channel drowns
another's, and are only read: what comes out of them goes nowhere. Their places are frames, so that
their deviations and maxima are over time: they show stops and jumps, as those over pixels shapes.

The task shows each clip as it is, backwards, twice as fast, half as fast, with its frames out of
order, or with a pause, and asks which. Who can tell knows how normal things move. Where normal
motion looks the same backwards, that part of the loss stays what guessing costs.

Sources: Horn & Schunck, "Determining optical flow", Artificial Intelligence 17 (1981) 185-203, for
the constraint; Benaim et al., "SpeedNet: learning the speediness in videos", arXiv:2004.06130, and
Jenni et al., "Video representation learning by recognizing temporal transformations",
arXiv:2007.10730, for the task. Ours: what is read of every frame; which transformations.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from models.families.video import FrameExcitation, FrameSqueeze, VideoStage
from models.self_supervision import Task
from models.smoothing import smooth
from models.squeeze_excite import Excitation, SqueezeExcite

_STEEP = 0.1  # epsilon: of the gradient's square, in deviations a pixel
_FLOOR = 1e-3  # of what logarithms are taken of: 1/1000 deviation is far below a grey level
_MOTIONS = 4
WAYS = ("as it is", "backwards", "fast", "slow", "out of order", "with a pause")


def motion(x: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 4 t h w"]:
    """Return the motion of every pixel; that of the first frame is the second's."""
    grey = x.mean(dim=1, keepdim=True)
    step = _step(grey)
    edged = functional.pad(grey, (1, 1, 1, 1, 0, 0), mode="replicate")
    across = (edged[..., 1:-1, 2:] - edged[..., 1:-1, :-2]) / 2
    down = (edged[..., 2:, 1:-1] - edged[..., :-2, 1:-1]) / 2
    flow = -step / (across**2 + down**2 + _STEEP)
    return torch.cat([step.abs(), flow * across, flow * down, _step(step).abs()], dim=1)


def motion_of_frames(moved: Float[Tensor, "b 4 t h w"]) -> Float[Tensor, "b 20 t"]:
    """Return what the ``motion`` block sees before it is standardised."""
    mean = moved[:, 1:3].mean(dim=(3, 4))
    told = torch.cat([mean, _log(moved.abs().mean(dim=(3, 4))), _log(_deviation(moved))], dim=1)
    return torch.cat([told, _step(told).abs()], dim=1)


def changes_of_frames(x: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 12 t"]:
    """Return what the ``changes`` block sees before it is standardised."""
    change = _step(functional.avg_pool3d(x, (1, 2, 2))).abs().mean(dim=1, keepdim=True)
    near = functional.avg_pool3d(change, (1, 5, 5), 1, (0, 2, 2), count_include_pad=False)
    both = torch.cat([change, near], dim=1)
    told = _log(torch.cat([both.mean(dim=(3, 4)), _deviation(both), both.amax(dim=(3, 4))], dim=1))
    return torch.cat([told, _step(told).abs()], dim=1)


class ClipExcitation(FrameExcitation):
    """Gates of every frame, smoothed over each clip's own frames; behind its end their mean.

    Attributes:
        lengths: of the clips of the batch; None if they are all as long as it.
    """

    lengths: Sequence[int] | None = None

    def forward(
        self, s: Float[Tensor, "b k t"], context: Float[Tensor, "b m"] | None = None
    ) -> Float[Tensor, "b c t"]:
        """Return the smoothed gates. Raises ValueError as ``Excitation`` does."""
        if self.lengths is None:
            return super().forward(s, context)
        clips, _, frames = s.shape
        flat = Excitation.forward(self, s.transpose(1, 2).flatten(0, 1), context)
        gates = flat.reshape(clips, frames, -1).transpose(1, 2)
        rows = []
        for gate, length in zip(gates, self.lengths, strict=True):
            own = smooth(gate[:, :length], self.penalty)
            rest = own.mean(dim=1, keepdim=True).expand(-1, frames - length)
            rows.append(torch.cat([own, rest], dim=1))
        return torch.stack(rows)


class Standardised(nn.Module):
    """Batch normalisation without weights, and an SE block that reads what comes of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels, affine=False)
        self.gate = SqueezeExcite(channels, 4)

    def forward(
        self, told: Float[Tensor, "b k t"], where: Float[Tensor, "b t"] | None
    ) -> Float[Tensor, "b k t"]:
        """Return the gated channels."""
        gated: Tensor = self.gate(self.norm(told), where)
        return gated


class ClipNetwork(nn.Module):
    """Clips (b, 3, t, h, w), standardised, to features (b, width, t, p, q).

    Args:
        widths: channels of each stage.
        penalty: lambda of the smoothing of gates over time.

    Raises:
        ValueError: if the penalty is negative, or a width is under 4.
    """

    def __init__(self, widths: Sequence[int] = (16, 32), *, penalty: float = 1.0) -> None:
        super().__init__()
        self.motion = Standardised(20)
        self.changes = Standardised(12)
        stages, inputs = [], 3 + _MOTIONS
        for width in widths:
            excite = ClipExcitation(width, 4, penalty=penalty)
            gate = SqueezeExcite(width, squeeze=FrameSqueeze(), excite=excite)
            stages.append(VideoStage(inputs, width, gate))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.width = inputs

    def forward_features(
        self, x: Float[Tensor, "b 3 t h w"], where: Float[Tensor, "b t"] | None = None
    ) -> Float[Tensor, "b c t p q"]:
        """Return what the last stage gives, of as many frames as x has.

        Args:
            x: clips, 0 behind their ends.
            where: 1 for a clip's frames, 0 behind its end; None if all are as long as the batch.
        """
        lengths = None if where is None else where.sum(dim=1).long().tolist()
        moved = motion(x)
        self.motion(motion_of_frames(moved), where)
        self.changes(changes_of_frames(x), where)
        y = torch.cat([x, moved], dim=1)
        for stage in self.stages:
            y = self._stage(stage, y, where, lengths)
        return y

    forward = forward_features

    @staticmethod
    def _stage(
        stage: nn.Module, x: Tensor, where: Tensor | None, lengths: list[int] | None
    ) -> Tensor:
        """Return a stage's gated features; behind the ends they count nowhere and are 0."""
        assert isinstance(stage, VideoStage)
        assert isinstance(stage.gate, SqueezeExcite)
        assert isinstance(stage.gate.excite, ClipExcitation)
        stage.gate.excite.lengths = lengths
        if where is None:
            whole: Tensor = stage(x)
            return whole
        inside = where[:, None, :, None, None]
        features = torch.relu(stage.norm(stage.conv(x * inside)))
        places = inside[:, 0].expand(-1, -1, *features.shape[3:])
        gated: Tensor = stage.gate(features, places)
        return gated * inside


class PaceOfTime(Task):
    """To tell at which of ``WAYS`` each clip is shown; the loss is the cross-entropy.

    Args:
        network: is trained.
        frames: that are shown; half of the shortest clip's of a batch, but 4, if that is fewer.
    """

    network: ClipNetwork

    def __init__(self, network: ClipNetwork, frames: int) -> None:
        super().__init__()
        self.network, self.frames = network, frames
        self.head = nn.Linear(2 * network.width, len(WAYS))

    def loss(self, inputs: tuple[Tensor, ...], rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the mean over the clips, each shown in a way that is drawn."""
        clips, wanted = shown(inputs, self.frames, rng)
        frames = self.network.forward_features(clips).mean(dim=(3, 4))
        told = torch.cat([frames.mean(dim=2), frames.std(dim=2)], dim=1)
        loss: Tensor = functional.cross_entropy(self.head(told), wanted.to(told.device))
        return loss


def shown(
    inputs: tuple[Tensor, ...], frames: int, rng: torch.Generator
) -> tuple[Float[Tensor, "b 3 f h w"], Int[Tensor, " b"]]:
    """Return a part of each clip of a prepared batch in one of ``WAYS``, and in which."""
    x = inputs[0]
    whole = torch.full((len(x),), x.shape[2])
    lengths = inputs[1].sum(dim=1).long().cpu() if len(inputs) > 1 else whole
    frames = max(min(frames, int(lengths.min()) // 2), 4)
    ways = torch.randint(len(WAYS), (len(x),), generator=rng)
    clips = []
    for clip, way, length in zip(x, ways.tolist(), lengths.tolist(), strict=True):
        at = order(way, frames, rng)
        start = int(torch.rand((), generator=rng) * max(length - int(at.max()), 1))
        clips.append(clip[:, (start + at).clamp_max(length - 1).to(clip.device)])
    return torch.stack(clips), ways


def order(way: int, frames: int, rng: torch.Generator) -> Int[Tensor, " f"]:
    """Return which frames are shown, one after another, in one of ``WAYS``; the first is 0."""
    at = torch.arange(frames)
    if WAYS[way] == "backwards":
        return at.flip(0)
    if WAYS[way] == "fast":
        return 2 * at
    if WAYS[way] == "slow":
        return at // 2
    if WAYS[way] == "out of order":  # by a few frames
        return torch.argsort(at + 4 * torch.rand(frames, generator=rng))
    if WAYS[way] == "with a pause":
        begin = 1 + int(torch.rand((), generator=rng) * (frames - 3))
        return torch.where(at <= begin, at, (at - max(frames // 4, 1)).clamp_min(begin))
    return at


def _step(x: Float[Tensor, "b c t *rest"]) -> Float[Tensor, "b c t *rest"]:
    """Return x_i - x_(i-1); the first is as the second."""
    step = x[:, :, 1:] - x[:, :, :-1]
    return torch.cat([step[:, :, :1], step], dim=2)


def _deviation(x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b c t"]:
    return (x.var(dim=(3, 4), correction=0) + _FLOOR**2).sqrt()


def _log(x: Tensor) -> Tensor:
    return (x + _FLOOR).log()
