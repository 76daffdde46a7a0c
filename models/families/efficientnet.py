"""EfficientNet: MBConv blocks with SE, scaled in depth, width and resolution together.

The excitation of a block with c channels at its input and d inside (``models.families.mbconv``)::

    g = sigmoid(W2 silu(W1 s + b1) + b2)      W1 is (c // 4, d), W2 is (d, c // 4)

The bottleneck is a quarter of the block's *input*: 1/24 of the d = 6 c channels that it gates,
which is what keeps SE cheap here. Stochastic depth grows linearly with the block's place, up to
0.2 at the end.

Parameters at 1000 classes, and as published (table 2), in millions::

    B0    B1    B2    B3     B4     B5     B6     B7
    5.29  7.79  9.11  12.23  19.34  30.39  43.04  66.35
    5.3   7.8   9.2   12     19     30     43     66

Source: Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
arXiv:1905.11946, table 1 (B0), section 5.2 (SiLU, dropout, stochastic depth); the widths inside
the excitation are those of the authors' code (tensorflow/tpu, ``models/official/efficientnet``).
Ours: see ``models.families.mbconv``.
"""

import torch
from torch import nn

from models.excitation import ConvExcitation
from models.families.compound_scaling import PUBLISHED, Scaling
from models.families.family import Family
from models.families.mbconv import EPSILON, ConvNorm, MBConv, MBConvNetwork
from models.lite0 import STAGES, STEM_CHANNELS
from models.squeeze_excite import SqueezeExcite

HEAD_CHANNELS = 1280
REDUCTION = 4


def gate(inputs: int, expanded: int) -> SqueezeExcite:
    """Return the SE block of an MBConv that has so many channels at its input and inside."""
    width = max(1, inputs // REDUCTION)
    return SqueezeExcite(expanded, excite=ConvExcitation(expanded, bottleneck=width, inner="silu"))


class EfficientNet(MBConvNetwork):
    """EfficientNet of any scaling: images (b, 3, h, w), normalised, to logits (b, classes).

    Args:
        scaling: of B0; one of ``PUBLISHED``, the powers of ``compound``, or one's own.
        classes: how many logits.
        se: whether blocks have SE.
        stochastic_depth: its probability at the last block; 0 leaves it out.
        epsilon: of batch normalisation.

    Raises:
        ValueError: if the classes are fewer than 1 or the probability is not in [0, 1).
    """

    def __init__(
        self,
        scaling: Scaling = PUBLISHED[0],
        classes: int = 1000,
        *,
        se: bool = True,
        stochastic_depth: int | float = 0.2,
        epsilon: float = EPSILON,
    ) -> None:
        if not 0 <= stochastic_depth < 1:
            raise ValueError(f"stochastic_depth must be in [0, 1), got {stochastic_depth}")
        stem = channels = scaling.channels(STEM_CHANNELS)
        total = sum(scaling.blocks(stage.blocks) for stage in STAGES)
        place = 0
        stages = []
        for stage in STAGES:
            blocks = []
            for index in range(scaling.blocks(stage.blocks)):
                expanded = channels * stage.expansion
                block = MBConv(
                    channels,
                    scaling.channels(stage.channels),
                    expanded=expanded,
                    kernel=stage.kernel,
                    stride=stage.stride if index == 0 else 1,
                    activation=nn.SiLU,
                    gate=gate(channels, expanded) if se else None,
                    epsilon=epsilon,
                    drop=stochastic_depth * place / total,
                )
                blocks.append(block)
                channels = scaling.channels(stage.channels)
                place += 1
            stages.append(nn.Sequential(*blocks))
        head = scaling.channels(HEAD_CHANNELS)
        super().__init__(
            ConvNorm(3, stem, 3, nn.SiLU, stride=2, epsilon=epsilon),
            stages,
            ConvNorm(channels, head, 1, nn.SiLU, epsilon=epsilon),
            nn.Sequential(nn.Dropout(scaling.dropout)),
            channels=head,
            classes=classes,
        )
        self.scaling = scaling


def _small(*, se: bool) -> EfficientNet:
    return EfficientNet(Scaling(width=0.25, depth=0.5, side_px=32), 2, se=se)


FAMILY = Family(
    name="efficientnet",
    kind="image",
    build=lambda: _small(se=True),
    build_plain=lambda: _small(se=False),
    example=lambda b: (torch.randn(b, 3, 32, 32),),
    batch_axes=(0,),
    source="Tan & Le, arXiv:1905.11946, table 1 and equation 3",
)
