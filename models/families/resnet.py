"""ResNet with an SE block in every residual block, in one of five places.

With the residual branch F, the shortcut P (the identity, or a projection where the shape changes)
and S(u) = g(u) u, the SE block::

    relu(P(x) + S(F(x)))           "residual"    SE, the standard
    relu(P(x) + F(S(x)))           "before"      SE-PRE
    S(relu(P(x) + F(x)))           "after"       SE-POST
    relu(S(P(x)) + F(x))           "identity"    SE-Identity
    relu(P(x) + F(x) + S(P(x)))    "beside"      ours

"beside" makes the gate a third branch: what the shortcut carries is multiplied by 1 + g, in (1, 2),
where "identity" and "after" multiply it by g < 1 in every block and so shrink it with depth.

Source: He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", arXiv:1512.03385,
table 1 and section 3.3 (shortcuts, option B); Hu et al., "Squeeze-and-Excitation Networks",
arXiv:1709.01507, section 3.3 (standard) and section 6.5 with figure 5 (the other three).
The stride of a bottleneck stands on its 3x3 convolution, as torchvision and timm have it; He et al.
have it on the first 1x1 convolution. It changes no parameter.
Ours, where the papers leave it open: in "before" the shortcut takes x itself, and in "identity" the
gate acts on what P returns.
"""

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.families.family import Family
from models.families.units import ConvUnit, ImageNetwork, require_one_of, require_positive
from models.squeeze_excite import SqueezeExcite

Placement = Literal["residual", "before", "after", "identity", "beside"]
PLACEMENTS: tuple[Placement, ...] = ("residual", "before", "after", "identity", "beside")

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""Depth -> residual blocks of each stage."""
BOTTLENECK_FROM = 50
"""The least depth whose blocks are bottlenecks."""
EXPANSION = 4
"""A bottleneck's outputs, in widths of its 3x3 convolution."""


def basic(inputs: int, width: int, stride: int) -> nn.Sequential:
    """Return the residual branch of two 3x3 convolutions: (b, c, h, w) -> (b, width, p, q)."""
    return nn.Sequential(
        ConvUnit(inputs, width, 3, stride=stride),
        ConvUnit(width, width, 3, linear=True),
    )


def bottleneck(inputs: int, width: int, stride: int) -> nn.Sequential:
    """Return the branch that works on fewer channels: (b, c, h, w) -> (b, 4 width, p, q)."""
    return nn.Sequential(
        ConvUnit(inputs, width, 1),
        ConvUnit(width, width, 3, stride=stride),
        ConvUnit(width, EXPANSION * width, 1, linear=True),
    )


class ResidualBlock(nn.Module):
    """A residual branch and a shortcut, with the SE block in its place.

    Args:
        residual: the branch F.
        inputs: channels of x.
        outputs: channels of F(x).
        stride: of F.
        placement: where the SE block is; None for no SE block.
        reduction: its r.

    Raises:
        ValueError: if the placement is not known, or the reduction ratio is not in 1..channels.
    """

    def __init__(
        self,
        residual: nn.Module,
        inputs: int,
        outputs: int,
        *,
        stride: int,
        placement: Placement | None,
        reduction: int,
    ) -> None:
        super().__init__()
        require_one_of("placement", placement, (*PLACEMENTS, None))
        self.placement = placement
        self.residual = residual
        if placement is not None:
            self.gate = SqueezeExcite(inputs if placement == "before" else outputs, reduction)
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else ConvUnit(inputs, outputs, 1, stride=stride, linear=True)
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d p q"]:
        """Return the block's output, by the formula of its placement."""
        kept: Tensor = self.shortcut(x)
        match self.placement:
            case "residual":
                return torch.relu(kept + self.gate(self.residual(x)))
            case "before":
                return torch.relu(kept + self.residual(self.gate(x)))
            case "after":
                gated: Tensor = self.gate(torch.relu(kept + self.residual(x)))
                return gated
            case "identity":
                return torch.relu(self.gate(kept) + self.residual(x))
            case "beside":
                return torch.relu(kept + self.residual(x) + self.gate(kept))
            case None:
                return torch.relu(kept + self.residual(x))


class ResNet(ImageNetwork):
    """Images (b, 3, h, w) to logits (b, classes); the four stages are at strides 4, 8, 16, 32.

    Args:
        depth: 18 or 34, of basic blocks; 50 or 101, of bottlenecks.
        width: channels of the stem; the published network has 64.
        classes: of the logits.
        se: whether there are SE blocks.
        reduction: their r.
        placement: where they are.

    Raises:
        ValueError: if the depth or the placement is not known, a size is not positive, or the
            reduction ratio is not in 1..channels.
    """

    def __init__(
        self,
        depth: int = 50,
        *,
        width: int = 64,
        classes: int = 1000,
        se: bool = True,
        reduction: int = 16,
        placement: Placement = "residual",
    ) -> None:
        require_one_of("depth", depth, BLOCKS)
        require_positive(width=width)
        branch, expansion = (bottleneck, EXPANSION) if depth >= BOTTLENECK_FROM else (basic, 1)
        stem = nn.Sequential(ConvUnit(3, width, 7, stride=2), nn.MaxPool2d(3, 2, padding=1))
        stages = []
        inputs = width
        for index, count in enumerate(BLOCKS[depth]):
            inner = width * 2**index
            outputs = inner * expansion
            blocks = []
            for first in [True] + [False] * (count - 1):
                stride = 2 if first and index else 1
                blocks.append(
                    ResidualBlock(
                        branch(inputs, inner, stride),
                        inputs,
                        outputs,
                        stride=stride,
                        placement=placement if se else None,
                        reduction=reduction,
                    )
                )
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        super().__init__(stem, stages, inputs, classes)


def _family(placement: Placement) -> Family:
    tiny = partial(ResNet, 18, width=16, classes=2, reduction=2, placement=placement)
    return Family(
        name=f"resnet, gate {placement}",
        kind="image",
        build=tiny,
        build_plain=partial(tiny, se=False),
        example=lambda b: (torch.randn(b, 3, 32, 32),),
        batch_axes=(0,),
        source="Hu et al., arXiv:1709.01507, section 6.5"
        if placement != "beside"
        else "ours, after Hu et al., arXiv:1709.01507, section 6.5",
    )


FAMILIES = tuple(_family(placement) for placement in PLACEMENTS)
