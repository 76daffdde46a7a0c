"""Sound as bands over time: an SE network whose first channels are the bands of a spectrogram.

For a standardised spectrogram x (b, m, t), mels by frames, and weights w (b, t), 0 at padding::

    groups   x is cut into groups of neighbouring bands; each passes an SE block of its own
    block 1  h = SE(relu(norm(conv(x))))                    kernel 5 along time, all bands at once
    block i  h = h + SE(relu(norm(conv(h))))                likewise, dilated by 2^(i - 1), i >= 2

Places are frames, and channels are bands or features. A convolution over both axes, as in
``models.families.audio``, gives each feature to all bands alike, and a squeeze over both forgets
which band it came from; that is what tells one machine, or one voice, from another. Squeezes of the
first blocks are plain statistics of the bands; the later ones tell of patterns over time.

At the padding every map is 0, and batch normalisation counts no padded frame, in training or
evaluation: a clip is to the network what it is alone.

Source: Hu et al., arXiv:1709.01507, section 3 (the block). Ours: all else.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.squeeze_excite import SqueezeExcite

KERNEL = 5
_REDUCTION = 4


class FrameNorm(nn.BatchNorm1d):
    """Batch normalisation over the frames that count: (b, c, t), weights (b, t) -> (b, c, t)."""

    def forward(  # type: ignore[override]  # torch's takes no weights
        self, x: Float[Tensor, "b c t"], weights: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b c t"]:
        """Return the frames normalised, 0 at the padding."""
        counts = weights > 0
        frames = x.transpose(1, 2)
        result = torch.zeros_like(frames)
        result[counts] = super().forward(frames[counts])
        return result.transpose(1, 2)


class FrameBlock(nn.Module):
    """Convolution along time, normalisation, ReLU, SE; added to what came in if it fits.

    Args:
        inputs: channels that come in.
        width: channels that go out.
        dilation: frames between the kernel's places.
    """

    def __init__(self, inputs: int, width: int, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (KERNEL // 2)
        self.conv = nn.Conv1d(inputs, width, KERNEL, padding=padding, dilation=dilation, bias=False)
        self.norm = FrameNorm(width)
        self.gate = SqueezeExcite(width, _REDUCTION)
        self.residual = inputs == width

    def forward(
        self, x: Float[Tensor, "b c t"], weights: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b d t"]:
        """Return the features, 0 at the padding, where x has to be 0 as well."""
        features: Tensor = self.gate(torch.relu(self.norm(self.conv(x), weights)), weights)
        return x + features if self.residual else features


class BandNetwork(nn.Module):
    """Spectrograms (b, m, t) and weights (b, t) to features (b, c, t).

    Args:
        mels: m.
        width: c of every block.
        depth: blocks after the groups.
        groups: of bands.

    Raises:
        ValueError: if a size is not positive, or a group would have fewer bands than
            the reduction ratio of its block, 4.
    """

    def __init__(self, mels: int, *, width: int = 32, depth: int = 3, groups: int = 4) -> None:
        super().__init__()
        if min(width, depth, groups) < 1 or mels < _REDUCTION * groups:
            raise ValueError(
                f"width, depth and groups must be 1 or more and a group have {_REDUCTION} bands, "
                f"got {width}, {depth} and {groups} groups of {mels} mels"
            )
        self.mels, self.width = mels, width
        self.sizes = group_sizes(mels, groups)
        self.bands = nn.ModuleList(SqueezeExcite(size, _REDUCTION) for size in self.sizes)
        self.blocks = nn.ModuleList(
            FrameBlock(mels if number == 0 else width, width, 2 ** max(number - 1, 0))
            for number in range(depth)
        )

    def forward_features(
        self, x: Float[Tensor, "..."], weights: Float[Tensor, "..."]
    ) -> Float[Tensor, "b c t"]:
        """Return what the last block gives, 0 at the padding.

        Raises:
            ValueError: if x is not of shape (b, m, t), or the weights not of (b, t).
        """
        if x.dim() != 3 or x.shape[1] != self.mels:
            raise ValueError(f"spectrograms have shape (b, {self.mels}, t), got {tuple(x.shape)}")
        expected = (x.shape[0], x.shape[2])
        if tuple(weights.shape) != expected:
            raise ValueError(f"weights must have shape {expected}, got {tuple(weights.shape)}")
        x = x.masked_fill((weights <= 0)[:, None], 0)
        parts = torch.split(x, self.sizes, dim=1)
        gated = [block(part, weights) for block, part in zip(self.bands, parts, strict=True)]
        h = torch.cat(gated, dim=1)
        for block in self.blocks:
            h = block(h, weights)
        return h

    def forward(
        self, x: Float[Tensor, "..."], weights: Float[Tensor, "..."]
    ) -> Float[Tensor, "b c t"]:
        """Return the features. Raises ValueError as ``forward_features`` does."""
        return self.forward_features(x, weights)


def group_sizes(mels: int, groups: int) -> list[int]:
    """Return how many bands each group has, low ones first; they differ by one at most."""
    return [(mels * (at + 1)) // groups - (mels * at) // groups for at in range(groups)]
