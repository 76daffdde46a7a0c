"""Sound: two-dimensional convolutions on spectrograms of any length, squeezed over both axes.

Every stage of x (b, c, f, t), f bins or mel bands and t frames, is convolution, batch
normalisation, ReLU, SE; each halves both axes. A batch of clips of several lengths is padded to
the longest, and weights (b, f, t), 0 where there is padding, say so. At every stage::

    x = 0 where the weights are 0
    weights of a cell of the next stage = max over the 2x2 cells that it stands for
    s_c = sum w x_c / sum w               over bins and frames

Zeroed padding is what a convolution finds beyond its border, and the weights of the next stage are
positive exactly where the clip alone has a cell: kernel 3, padding 1 and stride 2 give ceil(t / 2)
frames. Therefore padding, of any amount and holding any finite or other value, changes neither
gates nor logits beyond rounding. This holds in evaluation; in training, batch normalisation counts
the padded cells like all others.

Sources: Hu et al., arXiv:1709.01507, section 3 (the block); Naranjo-Alcazar et al., "Acoustic scene
classification with squeeze-excitation residual networks", IEEE Access 8 (2020) 112287-112296,
abstract, for SE on sound (their networks are residual, and gate places as well as channels).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from models import pooling
from models.families.family import Family
from models.squeeze_excite import SqueezeExcite

Weights = Float[Tensor, "b f t"]
"""How much each bin of each frame counts; 0 where there is padding."""


class AudioStage(nn.Module):
    """Convolution that halves bins and frames, batch normalisation, ReLU, and the gate.

    Args:
        inputs: channels that come in.
        width: channels that go out.
        reduction: r of the block; None for no block.
    """

    def __init__(self, inputs: int, width: int, reduction: int | None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, width, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.gate = None if reduction is None else SqueezeExcite(width, reduction)

    def forward(
        self, x: Float[Tensor, "b c f t"], weights: Float[Tensor, "b p q"] | None
    ) -> Float[Tensor, "b d p q"]:
        """Return the gated features, 0 where ``weights``, of the stage's own size, are 0."""
        x = _without_padding(torch.relu(self.norm(self.conv(x))), weights)
        return x if self.gate is None else self.gate(x, weights)


class AudioNetwork(nn.Module):
    """Spectrograms (b, 1, f, t), and weights (b, f, t) if any, to logits (b, classes).

    Args:
        widths: channels of each stage.
        reduction: r of every block.
        classes: how many logits.
        se: whether there are blocks at all.

    Raises:
        ValueError: if there is no stage, a size is not positive, or the reduction ratio is more
            than a stage's channels.
    """

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64),
        *,
        reduction: int = 4,
        classes: int = 10,
        se: bool = True,
    ) -> None:
        super().__init__()
        if not widths or min(*widths, classes) < 1:
            raise ValueError(
                "there must be a width, and widths and classes must be 1 or more, got widths "
                f"{tuple(widths)} and {classes} classes"
            )
        self.stages = nn.ModuleList(
            AudioStage(inputs, width, reduction if se else None)
            for inputs, width in zip((1, *widths), widths, strict=False)
        )
        self.head = nn.Linear(widths[-1], classes)

    def forward_features(
        self, x: Float[Tensor, "..."], weights: Float[Tensor, "..."] | None = None
    ) -> Float[Tensor, "b d p q"]:
        """Return what the last stage gives, 0 at the padding.

        Raises:
            ValueError: if x is not of shape (b, 1, f, t), or the weights not of (b, f, t).
        """
        return self._run(x, weights)[0]

    def forward(
        self, x: Float[Tensor, "..."], weights: Float[Tensor, "..."] | None = None
    ) -> Float[Tensor, "b classes"]:
        """Return the logits. Raises ValueError as ``forward_features`` does."""
        logits: Tensor = self.head(pooling.mean(*self._run(x, weights)))
        return logits

    def _run(self, x: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return the last stage's features and their weights."""
        if x.dim() != 4 or x.shape[1] != 1:
            raise ValueError(f"spectrograms have shape (b, 1, f, t), got {tuple(x.shape)}")
        expected = (x.shape[0], *x.shape[2:])
        if weights is not None and tuple(weights.shape) != expected:
            raise ValueError(f"weights must have shape {expected}, got {tuple(weights.shape)}")
        x = _without_padding(x, weights)
        for stage in self.stages:
            weights = None if weights is None else _halved(weights)
            x = stage(x, weights)
        return x, weights


def _halved(weights: Weights) -> Float[Tensor, "b p q"]:
    """Return the greatest weight of each 2x2 cells; of what there is of them at an odd border."""
    return functional.max_pool2d(weights, 2, ceil_mode=True)


def _without_padding(x: Tensor, weights: Tensor | None) -> Tensor:
    """Return x with 0 where nothing counts, whatever is there."""
    return x if weights is None else x.masked_fill((weights <= 0)[:, None], 0)


def _small(*, se: bool = True) -> AudioNetwork:
    return AudioNetwork((8, 16), classes=2, se=se)


def _example(samples: int) -> tuple[Tensor, Tensor]:
    """Return clips of 9 to 20 frames, padded to 20."""
    lengths = 20 - torch.arange(samples) % 12
    weights = (torch.arange(20) < lengths[:, None]).float()[:, None].expand(-1, 16, -1)
    return torch.randn(samples, 1, 16, 20), weights.contiguous()


FAMILY = Family(
    name="audio",
    kind="audio",
    build=_small,
    build_plain=lambda: _small(se=False),
    example=_example,
    batch_axes=(0, 0),
    source="Hu et al., arXiv:1709.01507, section 3; Naranjo-Alcazar et al., IEEE Access 8 (2020)",
)
