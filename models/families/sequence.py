"""A Transformer encoder with SE in the feed-forward block, on its hidden channels.

For tokens (b, t), weights (b, t), 1 where a token stands and 0 for padding, and width d::

    x   = embedding(token) + position
    x   = x + attention(norm(x))                    over the tokens that stand there
    x   = x + W2 SE(relu(W1 norm(x) + b1)) + b2     gates (b, f) of the f hidden channels
    logits = W mean(norm(x)) + b                    the mean over the tokens that stand there

    position_{p, 2i} = sin(p / 10000^(2i/d)),  position_{p, 2i+1} = cos(p / 10000^(2i/d))

Attention, squeeze and readout leave padding out: padding at the end changes nothing.

Source: Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, sections "Attention",
"Position-wise Feed-Forward Networks" and "Positional Encoding"; norms within the residual branches
and one at the end are those of Xiong et al., "On Layer Normalization in the Transformer
Architecture", arXiv:2002.04745, figure 1b (Pre-LN). Ours: the gate; no dropout; embeddings are
drawn with deviation 1 and not scaled by sqrt(d).
"""

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from models import pooling
from models.families.family import Family
from models.families.units import require_positive
from models.squeeze_excite import SqueezeExcite
from models.tokens import check_batch


class Attention(nn.Module):
    """Multi-head self-attention over the tokens that stand there."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "b t d"], weights: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b t d"]:
        """Return, for every token, what it takes from the others."""
        parts = self.project(x).unflatten(2, (3, self.heads, -1))  # (b, t, 3, heads, d / heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = (weights > 0)[:, None, None]  # (b, 1, 1, t): keys, for all heads and queries
        taken = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        y: Tensor = self.out(taken.transpose(1, 2).flatten(2))
        return y


class FeedForward(nn.Module):
    """Two linear maps at every token, the hidden channels gated by sequence in between."""

    def __init__(self, width: int, hidden: int, gate: SqueezeExcite | None) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.gate = gate
        self.project = nn.Linear(hidden, width)

    def forward(
        self, x: Float[Tensor, "b t d"], weights: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b t d"]:
        """Return the block's output; padding has no say in the gates."""
        hidden = torch.relu(self.expand(x))
        if self.gate is not None:
            hidden = self.gate(hidden.transpose(1, 2), weights).transpose(1, 2)
        y: Tensor = self.project(hidden)
        return y


class EncoderLayer(nn.Module):
    """Attention, then the feed-forward block, each on a residual branch after a norm."""

    def __init__(self, width: int, heads: int, hidden: int, gate: SqueezeExcite | None) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden, gate)

    def forward(
        self, x: Float[Tensor, "b t d"], weights: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b t d"]:
        """Return the tokens after the layer."""
        x = x + self.attention(self.attention_norm(x), weights)
        y: Tensor = x + self.feed_forward(self.feed_forward_norm(x), weights)
        return y


class SequenceEncoder(nn.Module):
    """Tokens (b, t) and weights (b, t) to logits (b, classes).

    Args:
        vocabulary: how many ids there are.
        classes: how many logits there are.
        width: d, even.
        heads: of attention; a divisor of the width.
        hidden: f, the hidden channels of the feed-forward block.
        layers: how many layers there are.
        longest: how many tokens, with padding, a sequence may have.
        reduction: r of the blocks.
        se: whether the hidden channels have gates.

    Raises:
        ValueError: if a size is not positive, the width is odd or no multiple of the heads, or the
            reduction ratio is not in 1..hidden.
    """

    positions: Tensor

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        *,
        width: int = 64,
        heads: int = 4,
        hidden: int = 128,
        layers: int = 2,
        longest: int = 512,
        reduction: int = 8,
        se: bool = True,
    ) -> None:
        super().__init__()
        require_positive(
            vocabulary=vocabulary,
            classes=classes,
            width=width,
            heads=heads,
            hidden=hidden,
            layers=layers,
            longest=longest,
        )
        if width % 2 or width % heads:
            raise ValueError(f"width must be even and a multiple of {heads} heads, got {width}")
        self.vocabulary, self.longest = vocabulary, longest
        self.embedding = nn.Embedding(vocabulary, width)
        self.register_buffer("positions", sinusoids(longest, width), persistent=False)
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, hidden, SqueezeExcite(hidden, reduction) if se else None)
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, classes)

    def forward_features(
        self, tokens: Int[Tensor, "..."], weights: Float[Tensor, "..."]
    ) -> Float[Tensor, "b t d"]:
        """Return the tokens after the last norm. Raises ValueError as ``forward`` does."""
        check_batch(tokens, weights, self.vocabulary)
        if tokens.shape[1] > self.longest:
            raise ValueError(
                f"tokens must have shape (b, t) with t of at most {self.longest}, got "
                f"{tuple(tokens.shape)}"
            )
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, weights)
        y: Tensor = self.norm(x)
        return y

    def forward(
        self, tokens: Int[Tensor, "..."], weights: Float[Tensor, "..."]
    ) -> Float[Tensor, "b classes"]:
        """Return logits.

        Args:
            tokens: (b, t), ids; any where there is padding.
            weights: (b, t), 1 where a token stands, 0 for padding.

        Raises:
            ValueError: as ``models.tokens.check_batch`` says, or if t is beyond the longest.
        """
        x = self.forward_features(tokens, weights)
        logits: Tensor = self.classifier(pooling.mean(x.transpose(1, 2), weights))
        return logits


def sinusoids(longest: int, width: int) -> Float[Tensor, "t d"]:
    """Return the position vectors of the module's formula, for places 0..longest - 1."""
    rates = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(longest)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def padded(samples: int, longest: int, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Return random tokens and the weights of random lengths, 1 or more."""
    lengths = torch.randint(1, longest + 1, (samples, 1))
    weights = (torch.arange(longest) < lengths).float()
    return torch.randint(1, vocabulary, (samples, longest)) * weights.long(), weights


_tiny = partial(SequenceEncoder, 32, 2, width=16, hidden=32, longest=64, reduction=4)

FAMILY = Family(
    name="transformer",
    kind="sequence",
    build=_tiny,
    build_plain=partial(_tiny, se=False),
    example=lambda b: padded(b, 12, 32),
    batch_axes=(0, 0),
    source='Vaswani et al., arXiv:1706.03762, section "Position-wise Feed-Forward Networks"',
)
