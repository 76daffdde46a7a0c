"""What the networks for images share: the way to the logits, and the unit of VGG and ResNet.

One unit is a convolution, batch normalisation, ReLU and perhaps an SE block, whose gates g (b, d)
act on one side of the ReLU or the other. With u = norm(conv(x))::

    y = relu(g(u) u)                position "before"
    y = g(relu(u)) relu(u)          position "after"

ReLU is positively homogeneous: relu(g u) = g relu(u) for one and the same g > 0. The two positions
differ only by what the block is told: the mean of u, or the mean of relu(u).

Source: batch normalisation between convolution and activation as in He et al., arXiv:1512.03385,
section 3.4, and the initialisation that section names; the SE block behind the activation as in
Hu et al., arXiv:1709.01507, section 3.3 (for VGG).
"""

from collections.abc import Collection, Iterable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from models import pooling

Position = Literal["before", "after"]
POSITIONS: tuple[Position, ...] = ("before", "after")


class ConvUnit(nn.Sequential):
    """Convolution without bias, batch normalisation, ReLU: (b, c, h, w) -> (b, d, p, q).

    Args:
        inputs: c.
        outputs: d.
        kernel: side of the kernel, odd; padded so that stride 1 keeps the sides.
        stride: of the convolution; p = ceil(h / stride).
        linear: whether the ReLU is left out.
        gate: an SE block of d channels.
        position: where it acts, seen from the ReLU.

    Raises:
        ValueError: if the position is not known.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        linear: bool = False,
        gate: nn.Module | None = None,
        position: Position = "after",
    ) -> None:
        super().__init__()
        require_one_of("position", position, POSITIONS)
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        self.add_module("conv", conv)
        self.add_module("norm", nn.BatchNorm2d(outputs))
        if gate is not None and position == "before":
            self.add_module("gate", gate)
        if not linear:
            self.add_module("relu", nn.ReLU())
        if gate is not None and position == "after":
            self.add_module("gate", gate)


class ImageNetwork(nn.Module):
    """Images to logits: stem, stages, the mean over the places, one linear map.

    Args:
        stem: what comes before the first stage.
        stages: one after another; a map may be read off after each.
        channels: of the last stage.
        classes: of the logits.

    Raises:
        ValueError: if there is no class.
    """

    def __init__(
        self, stem: nn.Module, stages: Iterable[nn.Module], channels: int, classes: int
    ) -> None:
        super().__init__()
        require_positive(classes=classes)
        self.stem = stem
        self.stages = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, classes)

    def forward_features(self, images: Float[Tensor, "..."]) -> Float[Tensor, "b c p q"]:
        """Return the last stage's map. Raises ValueError if the images are not (b, 3, h, w)."""
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f"images must have shape (b, 3, h, w), got {tuple(images.shape)}")
        features: Tensor = self.stages(self.stem(images))
        return features

    def forward(self, images: Float[Tensor, "..."]) -> Float[Tensor, "b classes"]:
        """Return the logits. Raises ValueError if the images are not (b, 3, h, w)."""
        logits: Tensor = self.classifier(pooling.mean(self.forward_features(images)))
        return logits


def require_positive(**sizes: int | float) -> None:
    """Raise ValueError, naming the first of the sizes that is not greater than 0."""
    for name, size in sizes.items():
        if not size > 0:
            raise ValueError(f"{name} must be positive, got {size}")


def require_one_of(name: str, value: object, known: Collection[object]) -> None:
    """Raise ValueError, naming what is known, if the value is not."""
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(str, known))}, got {value}")
