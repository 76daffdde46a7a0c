"""Gates of two streams, an image and its text, that know of each other.

Both streams are squeezed; one bottleneck h is shared, and each stream has a head that turns it into
its own gates::

    joint:     h = relu(A s_img + B s_text + a)          of [s_img; s_text]     (b, k)
    bilinear:  h = (U s_img) * (V s_text)                elementwise            (b, k)

    g_img = sigmoid(P h + p)    (b, c)        g_text = sigmoid(Q h + q)    (b, d)

k is (c + d) // r. In the joint form each stream adds its evidence, and with the cross weights zero
(A and P, B and Q on two halves of h that do not mix) it is two separate blocks. In the bilinear
form each scales what the other says: where one squeeze is zero, all gates are those of the biases.

Source: the joint form is that of Joze et al., "MMTM: Multimodal Transfer Module for CNN Fusion",
arXiv:1911.08670; Kim et al., "Hadamard Product for Low-rank Bilinear Pooling", arXiv:1610.04325,
for P^T (U^T x * V^T y) + b. Ours: gates of an image and a text; sigmoid without a factor; nothing
added to, and no nonlinearity within, the bilinear form. Each block squeezes its stream once more
than is needed, so that it stays the block that ``models.taps`` reads.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.excitation import Excitation
from models.squeeze_excite import SqueezeExcite

Coupling = Literal["joint", "bilinear"]


class JointBottleneck(nn.Module):
    """``relu(W [s_img; s_text] + a)``: what both squeezes say together."""

    def __init__(self, image: int, text: int, width: int) -> None:
        super().__init__()
        self.reduce = nn.Linear(image + text, width)

    def forward(
        self, image: Float[Tensor, "b c"], text: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b k"]:
        """Return the shared bottleneck."""
        return torch.relu(self.reduce(torch.cat([image, text], dim=1)))


class BilinearBottleneck(nn.Module):
    """``(U s_img) * (V s_text)``: what one squeeze says, scaled by the other."""

    def __init__(self, image: int, text: int, width: int) -> None:
        super().__init__()
        self.image = nn.Linear(image, width, bias=False)
        self.text = nn.Linear(text, width, bias=False)

    def forward(
        self, image: Float[Tensor, "b c"], text: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b k"]:
        """Return the shared bottleneck."""
        h: Tensor = self.image(image) * self.text(text)
        return h


COUPLINGS: dict[str, type[JointBottleneck | BilinearBottleneck]] = {
    "joint": JointBottleneck,
    "bilinear": BilinearBottleneck,
}


class GateHead(Excitation):
    """The second half of an excitation: gates from a bottleneck that another module made."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, bottleneck=width, context=width)
        del self.reduce  # the bottleneck is shared, and comes as the context

    def forward(
        self, s: Float[Tensor, "b c"], context: Float[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b c"]:
        """Return one gate per channel; the squeeze is in the context already.

        Raises:
            ValueError: if the bottleneck is missing or has another width.
        """
        if context is None or context.shape[1] != self.context:
            got = "none" if context is None else tuple(context.shape)
            raise ValueError(f"the gates take a context of shape (b, {self.context}), got {got}")
        gate: Tensor = self._gate(self.expand(context))
        return gate


class CoupledGates(nn.Module):
    """One shared bottleneck and two SE blocks, of image (b, c, h, w) and text (b, d, t).

    Raises:
        ValueError: if the reduction ratio is not in 1..c + d.
    """

    def __init__(self, image: int, text: int, reduction: int, coupling: Coupling) -> None:
        super().__init__()
        if not 1 <= reduction <= image + text:
            raise ValueError(
                f"reduction must be in 1..{image + text} (the channels of both), got {reduction}"
            )
        width = (image + text) // reduction
        self.bottleneck = COUPLINGS[coupling](image, text, width)
        self.image = SqueezeExcite(image, excite=GateHead(image, width))
        self.text = SqueezeExcite(text, excite=GateHead(text, width))

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        text: Float[Tensor, "b d t"],
        weights: Float[Tensor, "b t"],
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b d t"]]:
        """Return both, rescaled."""
        h = self.bottleneck(self.image.squeeze(image), self.text.squeeze(text, weights))
        return self.image(image, context=h), self.text(text, weights, h)
