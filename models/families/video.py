"""Video: three-dimensional convolutions, with one gate a clip or one gate a frame, smoothed.

Every stage of a clip x (b, c, t, h, w) is convolution, batch normalisation, ReLU, SE; the stages
halve the picture and leave the frames alone, so that a frame of any stage is a frame of the clip.

=============  ==============================  ====================================================
gates          squeeze                         what they can do
=============  ==============================  ====================================================
of the clip    over t, h, w         (b, c)     weigh the channels, for all of the clip alike
of the frames  over h, w            (b, c, t)  follow what happens; smoothed over time by
                                               ``models.smoothing``, because a gate that flickers
                                               makes the features flicker
=============  ==============================  ====================================================

Each frame's squeeze passes the same excitation; then q = smooth(g, lambda) over time. With lambda
= 0 the frames are gated apart, with lambda -> inf all by the mean of their gates.

Sources: Hu et al., arXiv:1709.01507, section 3 (the block); Tran et al., "Learning spatiotemporal
features with 3D convolutional networks", arXiv:1412.0767, abstract (3x3x3 kernels in all layers).
Ours: the gates of frames and their smoothing; stages that stride over pixels only.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models import pooling
from models.excitation import Excitation
from models.families.family import Family
from models.pooling import Packing, Where
from models.smoothing import check_penalty, smooth
from models.squeeze_excite import SqueezeExcite
from models.squeezes import Squeeze


class FrameSqueeze(Squeeze):
    """The mean of every channel of every frame: (b, c, t, *places) -> (b, c, t)."""

    def forward(self, x: Float[Tensor, "..."], where: Where = None) -> Float[Tensor, "b c t"]:
        """Return the squeeze of every frame; weights are (b, t, *places).

        Raises:
            ValueError: if x has no frames with places, or the weights have another shape.
        """
        if x.dim() < 4 or isinstance(where, Packing):
            got = "packed rows" if isinstance(where, Packing) else tuple(x.shape)
            raise ValueError(f"frames have shape (b, c, t, *places), got {got}")
        expected = (x.shape[0], *x.shape[2:])
        if where is not None and tuple(where.shape) != expected:
            raise ValueError(f"weights must have shape {expected}, got {tuple(where.shape)}")
        frames = x.transpose(1, 2).flatten(0, 1)
        inside = None if where is None else where.flatten(0, 1)
        return pooling.mean(frames, inside).reshape(-1, x.shape[2], x.shape[1]).transpose(1, 2)


class FrameExcitation(Excitation):
    """One gate for every frame, smoothed over time: squeezes (b, c, t) -> gates (b, c, t).

    Args:
        channels: c.
        reduction: r.
        penalty: lambda; how much a change of a gate from frame to frame costs.

    Raises:
        ValueError: if the reduction ratio is not in 1..channels, or the penalty is negative.
    """

    def __init__(self, channels: int, reduction: int = 16, *, penalty: float) -> None:
        super().__init__(channels, reduction)
        check_penalty(penalty)
        self.penalty = penalty

    def forward(
        self, s: Float[Tensor, "b k t"], context: Float[Tensor, "b m"] | None = None
    ) -> Float[Tensor, "b c t"]:
        """Return the smoothed gates. Raises ValueError as ``Excitation`` does."""
        frames = s.shape[2]
        if context is not None:
            context = context.repeat_interleave(frames, dim=0)
        gates = super().forward(s.transpose(1, 2).flatten(0, 1), context)
        return smooth(gates.reshape(-1, frames, gates.shape[1]).transpose(1, 2), self.penalty)


class VideoStage(nn.Module):
    """Convolution that halves height and width, batch normalisation, ReLU, and the gate."""

    def __init__(self, inputs: int, width: int, gate: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, width, 3, stride=(1, 2, 2), padding=1, bias=False)
        self.norm = nn.BatchNorm3d(width)
        self.gate = gate

    def forward(self, x: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b d t p q"]:
        """Return the gated features of as many frames."""
        gated: Tensor = self.gate(torch.relu(self.norm(self.conv(x))))
        return gated


class VideoNetwork(nn.Module):
    """Clips (b, 3, t, h, w) to logits (b, classes).

    Args:
        widths: channels of each stage.
        reduction: r of every block.
        classes: how many logits.
        penalty: lambda of gates for every frame; None: one gate for the clip.
        se: whether there are blocks at all.

    Raises:
        ValueError: if there is no stage, a size is not positive, the reduction ratio is more than
            a stage's channels, or the penalty is negative.
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64),
        *,
        reduction: int = 4,
        classes: int = 10,
        penalty: float | None = None,
        se: bool = True,
    ) -> None:
        super().__init__()
        if not widths or min(*widths, classes) < 1:
            raise ValueError(
                "there must be a width, and widths and classes must be 1 or more, got widths "
                f"{tuple(widths)} and {classes} classes"
            )
        stages, inputs = [], 3
        for width in widths:
            gate = _block(width, reduction, penalty) if se else nn.Identity()
            stages.append(VideoStage(inputs, width, gate))
            inputs = width
        self.stages = nn.Sequential(*stages)
        self.head = nn.Linear(inputs, classes)

    def forward_features(self, x: Float[Tensor, "..."]) -> Float[Tensor, "b d t p q"]:
        """Return what the last stage gives, of as many frames as x has.

        Raises:
            ValueError: if x is not of shape (b, 3, t, h, w).
        """
        if x.dim() != 5 or x.shape[1] != 3:
            raise ValueError(f"clips have shape (b, 3, t, h, w), got {tuple(x.shape)}")
        features: Tensor = self.stages(x)
        return features

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "b classes"]:
        """Return the logits. Raises ValueError as ``forward_features`` does."""
        logits: Tensor = self.head(pooling.mean(self.forward_features(x)))
        return logits


def _block(width: int, reduction: int, penalty: float | None) -> SqueezeExcite:
    if penalty is None:
        return SqueezeExcite(width, reduction)
    excite = FrameExcitation(width, reduction, penalty=penalty)
    return SqueezeExcite(width, squeeze=FrameSqueeze(), excite=excite)


def _small(*, penalty: float | None = None, se: bool = True) -> VideoNetwork:
    return VideoNetwork((8, 16), classes=2, penalty=penalty, se=se)


def _example(samples: int) -> tuple[Tensor]:
    return (torch.randn(samples, 3, 6, 16, 16),)


FAMILIES = (
    Family(
        name="video",
        kind="video",
        build=_small,
        build_plain=lambda: _small(se=False),
        example=_example,
        batch_axes=(0,),
        source="Hu et al., arXiv:1709.01507, section 3; Tran et al., arXiv:1412.0767",
    ),
    Family(
        name="video_frames",
        kind="video",
        build=lambda: _small(penalty=1.0),
        build_plain=lambda: _small(se=False),
        example=_example,
        batch_axes=(0,),
        source="Hu et al., arXiv:1709.01507, section 3; smoothing: Eilers 2003 (models.smoothing)",
    ),
)
