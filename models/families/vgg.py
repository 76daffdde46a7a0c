"""VGG with batch normalisation and an SE block at the end of every stage.

Five stages of 3x3 convolutions, each ended by a 2x2 maximum; the first is as wide as told (64 as
published), each further one twice as wide, up to eightfold::

    stage:  unit, ..., unit with SE, maximum        (b, c, h, w) -> (b, d, h/2, w/2)

Source: Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556, section 2 and table 1, configurations A, B, D, E; batch normalisation as in the
VGG-16 of Hu et al., arXiv:1709.01507, table 2.
Ours: one SE block a stage, on its last convolution, where Hu et al., section 3.3, put one after
every convolution's ReLU; and one linear map on the mean over the places for the three fully
connected layers, which hold nine tenths of the published VGG-16's parameters and tie it to one
size of image.
"""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from models.families.family import Family
from models.families.units import (
    ConvUnit,
    ImageNetwork,
    Position,
    require_one_of,
    require_positive,
)
from models.squeeze_excite import SqueezeExcite

CONVOLUTIONS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Depth, as published with three fully connected layers -> convolutions of each stage."""
WIDEST = 8
"""The widest stage, in widths of the first."""


class Stage(nn.Module):
    """Units of one width, the last of them perhaps gated, then the maximum of 2x2 pixels."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        convolutions: int,
        gate: nn.Module | None,
        position: Position,
    ) -> None:
        super().__init__()
        self.units = nn.Sequential()
        for left in reversed(range(convolutions)):
            ours = gate if left == 0 else None
            self.units.append(ConvUnit(inputs, outputs, 3, gate=ours, position=position))
            inputs = outputs

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d p q"]:
        """Return the stage's map, half as high and wide."""
        return functional.max_pool2d(self.units(x), 2)


class Vgg(ImageNetwork):
    """Images (b, 3, h, w) to logits (b, classes); h and w of 32 at least.

    Args:
        depth: 11, 13, 16 or 19.
        width: channels of the first stage; the published network has 64.
        classes: of the logits.
        se: whether there are SE blocks.
        reduction: their r.
        position: whether their gates act before or after the ReLU.

    Raises:
        ValueError: if the depth is not known, a size is not positive, or the reduction ratio is
            not in 1..channels.
    """

    def __init__(
        self,
        depth: int = 16,
        *,
        width: int = 64,
        classes: int = 1000,
        se: bool = True,
        reduction: int = 16,
        position: Position = "after",
    ) -> None:
        require_one_of("depth", depth, CONVOLUTIONS)
        require_positive(width=width)
        stages = []
        inputs = 3
        for index, convolutions in enumerate(CONVOLUTIONS[depth]):
            outputs = width * min(2**index, WIDEST)
            gate = SqueezeExcite(outputs, reduction) if se else None
            stages.append(Stage(inputs, outputs, convolutions, gate, position))
            inputs = outputs
        super().__init__(nn.Identity(), stages, inputs, classes)


_tiny = partial(Vgg, 11, width=16, classes=2, reduction=2)

FAMILY = Family(
    name="vgg",
    kind="image",
    build=_tiny,
    build_plain=partial(_tiny, se=False),
    example=lambda b: (torch.randn(b, 3, 32, 32),),
    batch_axes=(0,),
    source="Simonyan & Zisserman, arXiv:1409.1556, table 1",
)
