"""The Squeeze-and-Excitation block: summarise each channel, turn the summary into a gate, rescale.

For a feature map x of shape (b, c, h, w)::

    s_c = mean over (h, w) of x_c                       squeeze     (b, c)
    g   = sigmoid(W2 relu(W1 (s - m) / d + b1) + b2)    excitation  (b, c), in (0, 1)
    y_c = gain * g_c * x_c                              scale       (b, c, h, w)

W1 is (c/r, c) and W2 is (c, c/r): 2 c^2 / r weights for the reduction ratio r.

Source: Hu, Shen, Albanie, Sun & Wu, "Squeeze-and-Excitation Networks", arXiv:1709.01507,
section 3: equation 2 (squeeze), 3 (excitation), 4 (scale); section 4 for the 2 c^2 / r weights.
Ours: both maps carry biases; m and d (fixed, 0 and 1 by default) standardise the squeeze; the
constant gain (1 by default) lets a block begin as the identity when it is added to a trained
network: with gain 2 and W2 = b2 = 0 every gate is 1/2 and y = x exactly.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Squeeze(nn.Module):
    """Mean over the two spatial axes: (b, c, h, w) -> (b, c)."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """Return the mean of every channel of every image."""
        return x.mean(dim=(2, 3))


class Excitation(nn.Module):
    """Two linear maps with a bottleneck of c / r, then a sigmoid: (b, c) -> gates (b, c).

    Raises:
        ValueError: if the reduction ratio is not in 1..channels.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        if not 1 <= reduction <= channels:
            raise ValueError(f"reduction must be in 1..{channels} (the channels), got {reduction}")
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("deviation", torch.ones(channels))
        self.reduce = nn.Linear(channels, channels // reduction)
        self.expand = nn.Linear(channels // reduction, channels)

    def forward(self, s: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
        """Return one gate in (0, 1) per channel."""
        z = (s - self.mean) / self.deviation
        return torch.sigmoid(self.expand(torch.relu(self.reduce(z))))


class SqueezeExcite(nn.Module):
    """The whole block: ``y = gain * gate * x``. See the module for formula and source."""

    def __init__(self, channels: int, reduction: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.squeeze = Squeeze()
        self.excite = Excitation(channels, reduction)
        self.gain = gain

    @classmethod
    def identity(cls, channels: int, reduction: int) -> "SqueezeExcite":
        """Return a block whose every gate is 1/2 and whose output equals its input."""
        block = cls(channels, reduction, gain=2.0)
        nn.init.zeros_(block.excite.expand.weight)
        nn.init.zeros_(block.excite.expand.bias)
        return block

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Rescale every channel of every image by its gate."""
        gate: Tensor = self.excite(self.squeeze(x))
        return x * (self.gain * gate)[:, :, None, None]
