"""The Squeeze-and-Excitation block: summarise each channel, turn the summary into a gate, rescale.

For a feature map x of shape (b, c, *places), or packed (n, c), see ``models.pooling``::

    s = squeeze of x over its places        squeeze     (b, k); the mean, k = c, by default
    g = excite(s)                           excitation  (b, c), in (0, 1)
    y_c = gain * g_c * x_c                  scale       of x's shape

All families of this library use this one block, and ``models.taps`` reads it: what differs between
images, sound, graphs and text is where the places are.

Source: Hu, Shen, Albanie, Sun & Wu, "Squeeze-and-Excitation Networks", arXiv:1709.01507,
section 3: equation 2 (squeeze), 3 (excitation), 4 (scale).
Ours: the constant gain (1 by default) lets a block begin as the identity when it is added to a
trained network: with gain 2 and W2 = b2 = 0 every gate is 1/2 and y = x exactly.
"""

from jaxtyping import Float
from torch import Tensor, nn

from models import pooling
from models.excitation import Excitation
from models.pooling import Where
from models.squeezes import Squeeze

__all__ = ["Excitation", "Squeeze", "SqueezeExcite"]


class SqueezeExcite(nn.Module):
    """The whole block: ``y = gain * gate * x``. See the module for formula and source.

    Args:
        channels: c.
        reduction: r of the default excitation.
        squeeze: what is told of each channel; the mean by default.
        excite: from squeeze to gates; by default two linear maps, ReLU and sigmoid, with that
            reduction, which counts for nothing beside an excitation of one's own.
        gain: constant factor.

    Raises:
        ValueError: if the reduction ratio is not in 1..channels, or the excitation has another
            number of gates.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        squeeze: Squeeze | None = None,
        excite: Excitation | None = None,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.squeeze = squeeze or Squeeze()
        self.excite = excite or Excitation(
            channels, reduction, inputs=channels * self.squeeze.per_channel
        )
        if self.excite.channels != channels:
            raise ValueError(f"{channels} channels need as many gates, got {self.excite.channels}")
        self.gain = gain

    @classmethod
    def identity(cls, channels: int, reduction: int) -> "SqueezeExcite":
        """Return a block whose every gate is 1/2 and whose output equals its input."""
        excite = Excitation(channels, reduction, standardise=True)
        nn.init.zeros_(excite.expand.weight)
        assert excite.expand.bias is not None
        nn.init.zeros_(excite.expand.bias)
        return cls(channels, excite=excite, gain=2.0)

    def forward(
        self,
        x: Float[Tensor, "..."],
        where: Where = None,
        context: Float[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "..."]:
        """Rescale every channel of every sample by its gate.

        Args:
            x: (b, c, *places), or (n, c) with a packing.
            where: how much each place counts, or the packing.
            context: what else the excitation is told, (b, m).

        Raises:
            ValueError: if x, the weights or the context have another shape than the block's.
        """
        if x.shape[1] != self.channels:
            raise ValueError(
                f"the block has {self.channels} channels: x must be (b, {self.channels}, *places) "
                f"or packed (n, {self.channels}), got {tuple(x.shape)}"
            )
        gate: Tensor = self.excite(self.squeeze(x, where), context)
        return x * (self.gain * pooling.spread(gate, x, where))
