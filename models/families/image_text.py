"""A network of two streams, an image and its text, whose gates know of each other.

After every stage the gates of both streams come from both squeezes, by the joint or the bilinear
form of ``models.families.coupled_gates``. With weights (b, t), 1 where a token stands and 0 for
padding::

    image = relu(norm(conv2d(image)))          halves the sides
    text  = relu(conv1d(weights * text))
    image, text = gates(image, text)
    logits = W [mean of image ; mean of text] + b

Convolution, squeeze and readout leave padding out: padding at the end changes nothing.

Source: gates that couple two streams after several stages as in Joze et al., "MMTM: Multimodal
Transfer Module for CNN Fusion", arXiv:1911.08670. Ours: the two streams, small ones.
"""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from models import pooling
from models.families.coupled_gates import COUPLINGS, CoupledGates, Coupling
from models.families.family import Family
from models.families.sequence import padded
from models.families.units import require_one_of, require_positive
from models.tokens import check_batch


class CoupledStage(nn.Module):
    """A convolution of the image that halves its sides, one of the text, then the gates."""

    def __init__(
        self, image: tuple[int, int], text: tuple[int, int], gate: CoupledGates | None
    ) -> None:
        super().__init__()
        self.image = nn.Sequential(
            nn.Conv2d(*image, kernel_size=3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(image[1]),
            nn.ReLU(),
        )
        self.text = nn.Sequential(nn.Conv1d(*text, kernel_size=3, padding=1), nn.ReLU())
        self.gate = gate

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        text: Float[Tensor, "b d t"],
        weights: Float[Tensor, "b t"],
    ) -> tuple[Float[Tensor, "b e p q"], Float[Tensor, "b f t"]]:
        """Return both streams after the stage."""
        image = self.image(image)
        text = self.text(text * weights[:, None])  # else a word would see padding beside it
        return (image, text) if self.gate is None else self.gate(image, text, weights)


class ImageText(nn.Module):
    """Images, tokens and weights to logits (b, classes).

    Args:
        vocabulary: how many ids there are.
        classes: how many logits there are.
        widths: the channels of every stage, of the image and of the text alike.
        reduction: r of the shared bottleneck.
        coupling: how the squeezes meet in it.
        se: whether the stages have gates.

    Raises:
        ValueError: if a size is not positive, there is no stage, the coupling has another name, or
            the reduction ratio is not in 1..channels of both streams.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        *,
        widths: tuple[int, ...] = (16, 32, 64),
        reduction: int = 8,
        coupling: Coupling = "joint",
        se: bool = True,
    ) -> None:
        super().__init__()
        require_positive(vocabulary=vocabulary, classes=classes)
        if min(widths, default=0) < 1:
            raise ValueError(f"widths must be one or more, each 1 or more, got {widths}")
        require_one_of("coupling", coupling, COUPLINGS)
        self.vocabulary = vocabulary
        self.embedding = nn.Embedding(vocabulary, widths[0])
        self.stages = nn.ModuleList(
            CoupledStage(
                (widths[index - 1] if index else 3, width),
                (widths[max(index - 1, 0)], width),
                CoupledGates(width, width, reduction, coupling) if se else None,
            )
            for index, width in enumerate(widths)
        )
        self.classifier = nn.Linear(2 * widths[-1], classes)

    def forward_features(
        self,
        images: Float[Tensor, "..."],
        tokens: Int[Tensor, "..."],
        weights: Float[Tensor, "..."],
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c t"]]:
        """Return both streams after the last stage. Raises ValueError as ``forward`` does."""
        if images.dim() != 4 or images.shape[1] != 3:
            raise ValueError(f"images must have shape (b, 3, h, w), got {tuple(images.shape)}")
        check_batch(tokens, weights, self.vocabulary)
        if images.shape[0] != tokens.shape[0]:
            raise ValueError(
                f"tokens must have shape ({images.shape[0]}, t), one row an image, got "
                f"{tuple(tokens.shape)}"
            )
        image, text = images, self.embedding(tokens).transpose(1, 2)
        for stage in self.stages:
            image, text = stage(image, text, weights)
        return image, text

    def forward(
        self,
        images: Float[Tensor, "..."],
        tokens: Int[Tensor, "..."],
        weights: Float[Tensor, "..."],
    ) -> Float[Tensor, "b classes"]:
        """Return logits.

        Args:
            images: (b, 3, h, w), normalised.
            tokens: (b, t), ids; any where there is padding.
            weights: (b, t), 1 where a token stands, 0 for padding.

        Raises:
            ValueError: if a shape is another, or as ``models.tokens.check_batch`` says.
        """
        image, text = self.forward_features(images, tokens, weights)
        both = torch.cat([pooling.mean(image), pooling.mean(text, weights)], dim=1)
        logits: Tensor = self.classifier(both)
        return logits


def _family(coupling: Coupling) -> Family:
    tiny = partial(ImageText, 32, 2, widths=(8, 16), reduction=4, coupling=coupling)
    return Family(
        name=f"image and text, {coupling}",
        kind="image_text",
        build=tiny,
        build_plain=partial(tiny, se=False),
        example=lambda b: (torch.randn(b, 3, 16, 16), *padded(b, 6, 32)),
        batch_axes=(0, 0, 0),
        source="Joze et al., arXiv:1911.08670"
        if coupling == "joint"
        else "Kim et al., arXiv:1610.04325",
    )


FAMILIES = (_family("joint"), _family("bilinear"))
