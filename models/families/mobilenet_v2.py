"""MobileNetV2 with an SE block in every inverted residual block.

A block widens t-fold, filters each channel by itself, and projects back without activation::

    u = relu6(norm(conv1x1(x)))       (b, t c, h, w)     left out for t = 1
    v = relu6(norm(depthwise(u)))     (b, t c, p, q)
    y = norm(conv1x1(g(v) v))         (b, d, p, q)       plus x where the shapes agree

The SE block acts on v, the widened channels after the depthwise convolution. A depthwise
convolution mixes no channels: here each is one filter's answer, and the gate says how much of it
the projection is to mix in. On the narrow y it would act on mixtures, t times fewer. It stands
after the ReLU6, which is not positively homogeneous: a gate before it would change what is clipped.

Source: Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: Inverted Residuals and Linear
Bottlenecks", arXiv:1801.04381, section 4, tables 1 and 2; the SE block's place as in Howard et
al., "Searching for MobileNetV3", arXiv:1905.02244, section 3 and figure 4, whose reason is that
there the representation is largest.
Ours: SE in every block with the r of Hu et al., arXiv:1709.01507; no dropout.
"""

from functools import partial

import torch
from torch import nn

from models.families.compound_scaling import round_channels
from models.families.family import Family
from models.families.mbconv import ConvNorm, MBConv, MBConvNetwork
from models.families.units import require_positive
from models.squeeze_excite import SqueezeExcite

STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion t, channels, blocks and the first block's stride, a stage a row: table 2."""
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
EPSILON = 1e-5
"""Of batch normalisation, as in torchvision."""


class MobileNetV2(MBConvNetwork):
    """Images (b, 3, h, w) to logits (b, classes); the last of seven stages is at stride 32.

    Args:
        width: the multiplier of all channels; the 1280 before the classifier it only widens.
        classes: of the logits.
        se: whether there are SE blocks.
        reduction: their r.

    Raises:
        ValueError: if a size is not positive, or the reduction ratio is not in 1..channels.
    """

    def __init__(
        self,
        width: float = 1.0,
        *,
        classes: int = 1000,
        se: bool = True,
        reduction: int = 16,
    ) -> None:
        require_positive(width=width)
        inputs = round_channels(STEM_CHANNELS * width)
        stem = ConvNorm(3, inputs, 3, nn.ReLU6, stride=2, epsilon=EPSILON)
        stages = []
        for expansion, channels, count, stride in STAGES:
            outputs = round_channels(channels * width)
            blocks = []
            for index in range(count):
                expanded = expansion * inputs
                blocks.append(
                    MBConv(
                        inputs,
                        outputs,
                        expanded=expanded,
                        kernel=3,
                        stride=1 if index else stride,
                        activation=nn.ReLU6,
                        gate=SqueezeExcite(expanded, reduction) if se else None,
                        epsilon=EPSILON,
                    )
                )
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        channels = round_channels(HEAD_CHANNELS * max(1.0, width))
        head = ConvNorm(inputs, channels, 1, nn.ReLU6, epsilon=EPSILON)
        super().__init__(stem, stages, head, nn.Sequential(), channels=channels, classes=classes)


_tiny = partial(MobileNetV2, 0.25, classes=2, reduction=2)

FAMILY = Family(
    name="mobilenet_v2",
    kind="image",
    build=_tiny,
    build_plain=partial(_tiny, se=False),
    example=lambda b: (torch.randn(b, 3, 32, 32),),
    batch_axes=(0,),
    source="Sandler et al., arXiv:1801.04381, table 2",
)
