"""The gate without a squeeze: the excitation at every pixel, as two 1x1 convolutions.

Where an SE block squeezes, excites once and multiplies all pixels of a channel by the same gate,
this excites every place by itself and has a gate for each::

    g_chw = gate(W2 inner(W1 x_hw + b1) + b2)_c       (b, c, h, w)
    y     = g * x

Its parameters are those of the SE block, and so is its output on maps that are constant over
their places. It costs P = h w times the excitation: 2 C^2 P / r MACs for 2 C^2 / r. A gate sees
one place only: nothing of the whole reaches it.

Source: Hu et al., arXiv:1709.01507, section 7.1, "NoSqueeze". Table 16: in ResNet-50 it costs 4.27
thousand million FLOPs where SE costs 3.87 and the plain network 3.86, with as many parameters as
SE, and its top-1 error is 22.93 % where theirs are 22.28 % and 23.30 %.
"""

from dataclasses import replace
from math import prod

from jaxtyping import Float
from torch import Tensor

from models.analysis.cost import SeCost, se_cost
from models.excitation import Excitation, GateFunction, Inner
from models.pooling import Where
from models.squeeze_excite import SqueezeExcite
from models.squeezes import Squeeze


class NoSqueeze(Squeeze):
    """The map itself, as it is: (b, c, *places)."""

    def forward(self, x: Float[Tensor, "..."], where: Where = None) -> Float[Tensor, "..."]:
        """Return x; how its places count changes nothing."""
        return x


class PixelExcitation(Excitation):
    """One gate per channel and place: (b, c, *places) -> (b, c, *places).

    A linear map over the channels of each place is a convolution of kernel 1; the state is that
    of ``Excitation``. Raises ValueError as ``Excitation`` does.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        inner: Inner = "relu",
        gate: GateFunction = "sigmoid",
    ) -> None:
        super().__init__(channels, reduction, inner=inner, gate=gate)

    def forward(
        self, s: Float[Tensor, "b c *places"], context: Float[Tensor, "b m"] | None = None
    ) -> Float[Tensor, "b c *places"]:
        """Return the gates. Raises ValueError as ``Excitation`` does, and for any context."""
        if context is not None:
            raise ValueError(f"the excitation takes no context, got {tuple(context.shape)}")
        rows = s.movedim(1, -1)  # every place as if it were a sample
        return super().forward(rows.flatten(0, -2)).reshape(rows.shape).movedim(-1, 1)


def pixel_gate(channels: int, reduction: int = 16) -> SqueezeExcite:
    """Return the block that gates every place by itself.

    Raises:
        ValueError: if the reduction ratio is not in 1..channels.
    """
    return SqueezeExcite(channels, squeeze=NoSqueeze(), excite=PixelExcitation(channels, reduction))


def pixel_gate_cost(
    channels: int, reduction: int, places: tuple[int, ...], *, bias: bool = True
) -> SeCost:
    """Return what ``pixel_gate`` costs for one sample; arguments and errors as of ``se_cost``."""
    block = se_cost(channels, reduction, places, bias=bias)
    return replace(block, squeeze=0, excitation=block.excitation * prod(places))
