"""MobileNetV3, large and small: SE after the depthwise convolution, with hard gates.

In blocks that have SE, with d expanded channels (``models.families.mbconv``)::

    g = relu6(W2 relu(W1 s + b1) + b2 + 3) / 6     W1 is (d/4, d), W2 is (d, d/4)

    h-swish(x) = x relu6(x + 3) / 6                activation of the deeper half, ReLU before

The hard sigmoid reaches 0 and 1, so that a gate can shut or open a channel altogether. The widths
of channels and bottlenecks are rounded to multiples of 8. After the mean over the pixels comes a
linear layer with h-swish, then the classifier.

Parameters at 1000 classes: 5,483,032 (large; published 5.4 M), 2,542,856 (small; 2.5 M).

Source: Howard et al., "Searching for MobileNetV3", arXiv:1905.02244, tables 1 and 2 (layers),
sections 5.2 (hard functions) and 5.3 (a quarter of the expansion).
Ours, as torchvision's, whose weights we load: the small network has 1024 channels before its
classifier and no SE beside the last 1x1 convolution, which table 2 marks; a width multiplier keeps
that convolution at six times the last block's channels.
"""

from dataclasses import dataclass

import torch
from torch import nn

from models.excitation import ConvExcitation
from models.families.compound_scaling import round_channels
from models.families.family import Family
from models.families.mbconv import Activation, ConvNorm, MBConv, MBConvNetwork
from models.families.units import require_one_of, require_positive
from models.squeeze_excite import SqueezeExcite

REDUCTION = 4
STEM_CHANNELS = 16
HEAD_EXPANSION = 6


@dataclass(frozen=True, slots=True)
class Row:
    """One block: a row of the paper's table."""

    kernel: int
    expanded: int
    channels: int
    se: bool
    activation: Activation
    stride: int


RE, HS = nn.ReLU, nn.Hardswish
ROWS: dict[str, tuple[Row, ...]] = {
    "large": (
        Row(3, 16, 16, False, RE, 1),
        Row(3, 64, 24, False, RE, 2),
        Row(3, 72, 24, False, RE, 1),
        Row(5, 72, 40, True, RE, 2),
        Row(5, 120, 40, True, RE, 1),
        Row(5, 120, 40, True, RE, 1),
        Row(3, 240, 80, False, HS, 2),
        Row(3, 200, 80, False, HS, 1),
        Row(3, 184, 80, False, HS, 1),
        Row(3, 184, 80, False, HS, 1),
        Row(3, 480, 112, True, HS, 1),
        Row(3, 672, 112, True, HS, 1),
        Row(5, 672, 160, True, HS, 2),
        Row(5, 960, 160, True, HS, 1),
        Row(5, 960, 160, True, HS, 1),
    ),
    "small": (
        Row(3, 16, 16, True, RE, 2),
        Row(3, 72, 24, False, RE, 2),
        Row(3, 88, 24, False, RE, 1),
        Row(5, 96, 40, True, HS, 2),
        Row(5, 240, 40, True, HS, 1),
        Row(5, 240, 40, True, HS, 1),
        Row(5, 120, 48, True, HS, 1),
        Row(5, 144, 48, True, HS, 1),
        Row(5, 288, 96, True, HS, 2),
        Row(5, 576, 96, True, HS, 1),
        Row(5, 576, 96, True, HS, 1),
    ),
}
LAST_CHANNELS = {"large": 1280, "small": 1024}


def gate(expanded: int) -> SqueezeExcite:
    """Return the SE block over so many expanded channels."""
    width = round_channels(expanded // REDUCTION)
    excite = ConvExcitation(expanded, bottleneck=width, gate="hard_sigmoid")
    return SqueezeExcite(expanded, excite=excite)


class MobileNetV3(MBConvNetwork):
    """MobileNetV3: images (b, 3, h, w), normalised, to logits (b, classes).

    Args:
        size: large or small.
        width: factor on all channels.
        classes: how many logits.
        se: whether blocks have SE, where the paper's have.
        dropout: before the classifier.

    Raises:
        ValueError: if there is no such size, the width is not positive or the classes are fewer
            than 1.
    """

    def __init__(
        self,
        size: str = "large",
        *,
        width: int | float = 1.0,
        classes: int = 1000,
        se: bool = True,
        dropout: int | float = 0.2,
    ) -> None:
        require_one_of("size", size, ROWS)
        require_positive(width=width)
        stem = channels = round_channels(STEM_CHANNELS * width)
        stages = []
        for row in ROWS[size]:
            expanded, outputs = (round_channels(n * width) for n in (row.expanded, row.channels))
            block = MBConv(
                channels,
                outputs,
                expanded=expanded,
                kernel=row.kernel,
                stride=row.stride,
                activation=row.activation,
                gate=gate(expanded) if se and row.se else None,
            )
            stages.append(block)
            channels = outputs
        head = HEAD_EXPANSION * channels
        last = round_channels(LAST_CHANNELS[size] * width)
        super().__init__(
            ConvNorm(3, stem, 3, HS, stride=2),
            stages,
            ConvNorm(channels, head, 1, HS),
            nn.Sequential(nn.Linear(head, last), HS(), nn.Dropout(dropout)),
            channels=last,
            classes=classes,
        )


FAMILY = Family(
    name="mobilenet_v3",
    kind="image",
    build=lambda: MobileNetV3("small", width=0.25, classes=2),
    build_plain=lambda: MobileNetV3("small", width=0.25, classes=2, se=False),
    example=lambda b: (torch.randn(b, 3, 32, 32),),
    batch_axes=(0,),
    source="Howard et al., arXiv:1905.02244, table 2 and sections 5.2, 5.3",
)
