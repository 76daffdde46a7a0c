"""MBConv, the mobile inverted residual block with SE on its expanded channels, and its networks.

For x (b, c, h, w), with d channels inside and stride s::

    u = act(norm(conv 1x1 of x))            expand     (b, d, h, w); left out where d = c
    v = act(norm(conv k x k of u))          depthwise  (b, d, h/s, w/s), one filter a channel
    y = norm(conv 1x1 of gate(v) * v)       project    (b, c', h/s, w/s), linear
    x + y where s = 1 and c' = c, else y

The gate thus weighs the d expanded channels, before they are mixed. A network is a stem with
stride 2, stages of such blocks, a 1x1 convolution, the mean over the pixels, and a classifier; its
features are what the last block gives, at stride 32.

In training, stochastic depth leaves the branch y of a sample out with probability p and divides
the others by 1 - p; at inference it does nothing.

Source: Sandler et al., "MobileNetV2", arXiv:1801.04381, section 3.3 (inverted residual); Howard et
al., "Searching for MobileNetV3", arXiv:1905.02244, section 5.3 (SE on the expansion); Huang et
al., "Deep Networks with Stochastic Depth", arXiv:1603.09382.
Ours: padding is k // 2 on all sides, as in torchvision, where TensorFlow pads unevenly; batch
normalisation keeps torch's momentum of 0.1, as the published 0.01 needs thousands of steps; a
branch is scaled while training rather than at inference.
"""

from collections.abc import Callable, Iterable

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from models import pooling
from models.families.units import ImageNetwork

Activation = Callable[[], nn.Module]
EPSILON = 1e-3
"""Of batch normalisation, as published for both families."""


class ConvNorm(nn.Sequential):
    """Convolution, batch normalisation and, where there is one, the activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        activation: Activation | None,
        *,
        stride: int = 1,
        groups: int = 1,
        epsilon: float = EPSILON,
    ) -> None:
        super().__init__()
        conv = nn.Conv2d(
            inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        # Torch's own draw lets the maps of an untrained network fade to nothing at inference.
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        self.add_module("conv", conv)
        self.add_module("norm", nn.BatchNorm2d(outputs, eps=epsilon))
        if activation is not None:
            self.add_module("activation", activation())


class MBConv(nn.Module):
    """The block. See the module for formula and source.

    Args:
        inputs: c.
        outputs: c'.
        expanded: d.
        kernel: k, of the depthwise convolution.
        stride: s, of the depthwise convolution.
        activation: of expansion and depthwise convolution.
        gate: the SE block over d channels; None for none.
        epsilon: of batch normalisation.
        drop: p of stochastic depth.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        expanded: int,
        kernel: int,
        stride: int,
        activation: Activation,
        gate: nn.Module | None,
        epsilon: float = EPSILON,
        drop: int | float = 0.0,
    ) -> None:
        super().__init__()
        self.expand = (
            nn.Identity()
            if expanded == inputs
            else ConvNorm(inputs, expanded, 1, activation, epsilon=epsilon)
        )
        self.depthwise = ConvNorm(
            expanded, expanded, kernel, activation, stride=stride, groups=expanded, epsilon=epsilon
        )
        self.gate = gate or nn.Identity()
        self.project = ConvNorm(expanded, outputs, 1, None, epsilon=epsilon)
        self.has_skip = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d p q"]:
        """Return the block's output."""
        branch: Tensor = self.project(self.gate(self.depthwise(self.expand(x))))
        if not self.has_skip:
            return branch
        if self.training and self.drop:  # one draw a sample, and 1 / (1 - p) with it
            branch = branch * functional.dropout(branch.new_ones(len(x), 1, 1, 1), self.drop)
        return x + branch


class MBConvNetwork(ImageNetwork):
    """Images (b, 3, h, w), normalised, to logits (b, classes); subclasses say through which blocks.

    Args:
        stem: with stride 2.
        stages: blocks, or sequences of them.
        head: the 1x1 convolution behind them.
        neck: what stands between the mean over the pixels and the classifier.
        channels: of the classifier's input.
        classes: how many logits.

    Raises:
        ValueError: if there is no class.
    """

    def __init__(
        self,
        stem: ConvNorm,
        stages: Iterable[nn.Module],
        head: ConvNorm,
        neck: nn.Sequential,
        *,
        channels: int,
        classes: int,
    ) -> None:
        super().__init__(stem, stages, channels, classes)
        self.head = head
        self.neck = neck

    def forward(self, images: Float[Tensor, "..."]) -> Float[Tensor, "b classes"]:
        """Return the logits. Raises ValueError if the images are not (b, 3, h, w)."""
        mean = pooling.mean(self.head(self.forward_features(images)))
        logits: Tensor = self.classifier(self.neck(mean))
        return logits
