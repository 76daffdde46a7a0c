"""The EfficientNet-Lite0 trunk: stem and sixteen inverted residual blocks, without head.

EfficientNet-Lite is EfficientNet without Squeeze-and-Excitation and with ReLU6 for swish, so that
it runs on edge devices. Every block may be given a gate on its residual branch, which makes an SE
network of it (``models.se_lite0``).

Source: Tan & Le, "EfficientNet", arXiv:1905.11946, table 1 (stages); Sandler et al., "MobileNetV2",
arXiv:1801.04381, section 3.3 (inverted residual). Lite0 keeps width and depth at 1.0.
The published weights come from TensorFlow: convolutions pad as its ``SAME`` does (more at the
bottom and right when uneven) and batch normalisation uses epsilon 1e-3.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

BATCH_NORM_EPSILON = 1e-3
STEM_CHANNELS = 32


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of blocks of one shape; only the first of them strides and widens."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    blocks: int


STAGES = (
    Stage(expansion=1, kernel=3, stride=1, channels=16, blocks=1),
    Stage(expansion=6, kernel=3, stride=2, channels=24, blocks=2),
    Stage(expansion=6, kernel=5, stride=2, channels=40, blocks=2),
    Stage(expansion=6, kernel=3, stride=2, channels=80, blocks=3),
    Stage(expansion=6, kernel=5, stride=1, channels=112, blocks=3),
    Stage(expansion=6, kernel=5, stride=2, channels=192, blocks=4),
    Stage(expansion=6, kernel=3, stride=1, channels=320, blocks=1),
)

Gate = Callable[[int], nn.Module]
"""From a number of channels to the module that gates them: (b, c, h, w) -> (b, c, h, w)."""


def _ungated(_channels: int) -> nn.Module:
    return nn.Identity()


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow's SAME: output side = ceil(input side / stride)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=False)

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d p q"]:
        """Pad by what the last window lacks, the larger half at the bottom and right."""
        top, left = (
            max((-(-side // stride) - 1) * stride + kernel - side, 0)
            for side, stride, kernel in zip(
                input.shape[2:], self.stride, self.kernel_size, strict=True
            )
        )
        if top % 2 == 0 and left % 2 == 0:  # even padding costs no copy
            return functional.conv2d(
                input, self.weight, None, self.stride, (top // 2, left // 2), 1, self.groups
            )
        padding = (left // 2, left - left // 2, top // 2, top - top // 2)
        return functional.conv2d(
            functional.pad(input, padding), self.weight, None, self.stride, 0, 1, self.groups
        )


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation and, unless linear, ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.add_module("conv", SameConv(inputs, outputs, kernel, stride, groups))
        self.add_module("norm", nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON))
        if not linear:
            self.add_module("relu", nn.ReLU6())


class InvertedResidual(nn.Module):
    """Expand, filter depthwise, project, gate; add the input where the shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, *, expansion: int, kernel: int, stride: int, gate: Gate
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = nn.Identity() if expansion == 1 else ConvNorm(inputs, hidden, 1)
        self.depthwise = ConvNorm(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.project = ConvNorm(hidden, outputs, 1, linear=True)
        self.gate = gate(outputs)
        self.has_skip = stride == 1 and inputs == outputs

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d p q"]:
        """Return the block's output; the gate acts on the residual branch alone."""
        branch: Tensor = self.gate(self.project(self.depthwise(self.expand(x))))
        return x + branch if self.has_skip else branch


class Lite0(nn.Module):
    """The trunk: images (b, 3, h, w), normalised, to the last block's output (b, 320, h/32, w/32).

    Args:
        gate: what stands on each block's residual branch; nothing by default.
    """

    def __init__(self, gate: Gate = _ungated) -> None:
        super().__init__()
        self.stem = ConvNorm(3, STEM_CHANNELS, 3, stride=2)
        self.blocks = nn.ModuleList()
        inputs = STEM_CHANNELS
        for stage in STAGES:
            for index in range(stage.blocks):
                self.blocks.append(
                    InvertedResidual(
                        inputs,
                        stage.channels,
                        expansion=stage.expansion,
                        kernel=stage.kernel,
                        stride=stage.stride if index == 0 else 1,
                        gate=gate,
                    )
                )
                inputs = stage.channels

    def features(self, x: Float[Tensor, "b 3 h w"]) -> list[Tensor]:
        """Return every block's output, in order."""
        x = self.stem(x)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return outputs

    def forward(self, x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 320 p q"]:
        """Return the last block's output."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return x
