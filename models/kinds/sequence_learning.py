"""A network that predicts each token from what is around it; SE blocks see how far off it is.

Tokens (b, t) become vectors e (d). Two strands of causal dilated convolutions read them, one from
the start, one from the end; of token i only the tokens before it and those after it are seen::

    h_i = relu(W [forwards_(i-1) ; backwards_(i+1)] + b)
    p_i = softmax(E h_i + a)                     over the vocabulary without padding; E: the vectors

so that ``-log p_i(token_i)`` tells in one pass how odd each token is where it stands, without
hiding any. What SE blocks look at are maps over the tokens:

=========  ==========  ============================================================================
block      channels    what
=========  ==========  ============================================================================
words      k + 1       R_i (1 + r_i), R a fixed Gaussian projection of the vocabulary; its mean over
                       the sequence is a random projection of TF-IDF. With surprise as below
surprise   4           u, 1 for an unknown token; r = log((1 + n) / (1 + n_i)), the rarity of the
                       token in the n normal samples, n_i of which have it; surprise -log p_i; and
                       surprise less the entropy of p_i, which is expected there
context    d           h, which does not know the token itself
=========  ==========  ============================================================================

The task spoils a tenth of the tokens (each is replaced by any token, the unknown one too) and asks
for two things: the true token at every place, and, from the gated maps, which places are spoilt.
The first trains the strands, the second the gates; it does not reach the strands through p, which
therefore stays an estimate of probability.

Sources: Oord et al., "WaveNet: A Generative Model for Raw Audio", arXiv:1609.03499, section 2.1
(dilated causal convolutions); Peters et al., "Deep contextualized word representations",
arXiv:1802.05365, section 3.1 (two language models, one each way); Press & Wolf, "Using the Output
Embedding to Improve Language Models", arXiv:1608.05859 (the tied E); Clark et al., "ELECTRA",
arXiv:2003.10555, section 2 (detection of replaced tokens; ours are drawn evenly, not by a network).
Ours: that the strands are joined so that they do not see the token, and the maps.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from models.self_supervision import Task
from models.squeeze_excite import SqueezeExcite
from models.tokens import UNKNOWN, check_batch

DILATIONS = (1, 2, 4, 8)
"""Of the layers of a strand: with kernels of 3, it reaches 30 tokens."""

_AT_ONCE = 256
"""Places of a batch whose probabilities are in memory at once."""


class Gated(nn.Module):
    """An SE block over a map, of its own so that it is told by name."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = SqueezeExcite(channels, min(4, channels))

    def forward(
        self, x: Float[Tensor, "b c t"], weights: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b c t"]:
        """Return the gated map."""
        y: Tensor = self.gate(x, weights)
        return y


class StrandLayer(nn.Module):
    """``x + W relu(conv(norm(x)))``, a causal convolution, 0 before the start and after the end."""

    def __init__(self, width: int, dilation: int, *, backwards: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.conv = nn.Conv1d(width, width, 3, dilation=dilation)
        self.out = nn.Conv1d(width, width, 1)
        self.around = (0, 2 * dilation) if backwards else (2 * dilation, 0)

    def forward(
        self, x: Float[Tensor, "b d t"], weights: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b d t"]:
        """Return the tokens after the layer; padding counts as what is beyond the end."""
        y = self.norm(x.transpose(1, 2)).transpose(1, 2) * weights[:, None]
        y = self.out(torch.relu(self.conv(functional.pad(y, self.around))))
        total: Tensor = x + y
        return total


class SurpriseNetwork(nn.Module):
    """Tokens (b, t) and weights (b, t) to maps of how odd each token is, seen by SE blocks.

    Args:
        known: n_i of every id from ``UNKNOWN`` on: how many normal samples have it.
        samples: n, how many normal samples there are.
        width: d.
        projected: k.

    Raises:
        ValueError: if there are no ids, or more samples have one than there are.
    """

    projection: Tensor
    rarity: Tensor

    def __init__(
        self, known: Sequence[int], samples: int, *, width: int = 64, projected: int = 64
    ) -> None:
        super().__init__()
        if not known or not 0 <= min(known) <= max(known) <= samples:
            raise ValueError(f"every id is in 0..{samples} samples, and there must be one")
        self.vocabulary = len(known) + UNKNOWN
        counts = torch.tensor([0, *known], dtype=torch.float32)
        rarity = torch.log((1 + samples) / (1 + counts))
        directions = torch.randn(self.vocabulary, projected) / math.sqrt(projected)
        self.register_buffer("rarity", rarity)
        self.register_buffer("projection", directions * (1 + rarity)[:, None])
        self.embedding = nn.Embedding(self.vocabulary, width)
        nn.init.normal_(self.embedding.weight, std=0.3)
        self.forwards, self.backwards = (
            nn.ModuleList(StrandLayer(width, each, backwards=way) for each in DILATIONS)
            for way in (False, True)
        )
        self.join = nn.Linear(2 * width, width)
        self.frequency = nn.Parameter(torch.log((counts[1:] + 0.5) / (counts[1:] + 0.5).sum()))
        self.words, self.surprise, self.context = Gated(projected + 1), Gated(4), Gated(width)
        self.spoilt = nn.Linear(projected + 1 + 4 + width, 1)

    def around(
        self, tokens: Int[Tensor, "b t"], weights: Float[Tensor, "b t"]
    ) -> Float[Tensor, "b t d"]:
        """Return h: what is known of every token from those around it."""
        before = after = self.embedding(tokens).transpose(1, 2) * weights[:, None]
        for layer in self.forwards:
            before = layer(before, weights)
        for layer in self.backwards:
            after = layer(after, weights)
        after = after * weights[:, None]
        both = torch.cat(
            [functional.pad(before, (1, 0))[:, :, :-1], functional.pad(after, (0, 1))[:, :, 1:]], 1
        )
        return torch.relu(self.join(both.transpose(1, 2)))

    def predicted(
        self, h: Float[Tensor, "b t d"], tokens: Int[Tensor, "b t"]
    ) -> tuple[Float[Tensor, "b t"], Float[Tensor, "b t"]]:
        """Return the surprise -log p at these tokens, and the entropy of p."""
        surprise, entropy = [], []
        ids = (tokens - UNKNOWN).clamp_min(0)
        for part, wanted in zip(
            torch.split(h, _AT_ONCE, 1), torch.split(ids, _AT_ONCE, 1), strict=True
        ):
            scores = part @ self.embedding.weight[UNKNOWN:].T + self.frequency
            log_p = scores.log_softmax(dim=2)
            surprise.append(-log_p.gather(2, wanted[:, :, None])[:, :, 0])
            entropy.append(-(log_p.exp() * log_p).sum(dim=2))
        return torch.cat(surprise, dim=1), torch.cat(entropy, dim=1)

    def maps(
        self, tokens: Int[Tensor, "b t"], weights: Float[Tensor, "b t"], h: Float[Tensor, "b t d"]
    ) -> Float[Tensor, "b c t"]:
        """Return the gated maps of all blocks, side by side."""
        surprise, entropy = (each.detach() for each in self.predicted(h, tokens))
        unknown = (tokens == UNKNOWN).to(surprise.dtype)
        odd = torch.stack([unknown, self.rarity[tokens], surprise, surprise - entropy], dim=1)
        words = torch.cat([self.projection[tokens].transpose(1, 2), surprise[:, None]], dim=1)
        inside = weights[:, None]
        return torch.cat(
            [
                self.words(words * inside, weights),
                self.surprise(odd * inside, weights),
                self.context(h.transpose(1, 2) * inside, weights),
            ],
            dim=1,
        )

    def forward_features(
        self, tokens: Int[Tensor, "..."], weights: Float[Tensor, "..."]
    ) -> Float[Tensor, "b c t"]:
        """Return the gated maps.

        Args:
            tokens: (b, t), ids; 0 where there is padding, at the end.
            weights: (b, t), 1 where a token stands, 0 for padding.

        Raises:
            ValueError: as ``models.tokens.check_batch``.
        """
        check_batch(tokens, weights, self.vocabulary)
        return self.maps(tokens, weights, self.around(tokens, weights))

    def forward(
        self, tokens: Int[Tensor, "..."], weights: Float[Tensor, "..."]
    ) -> Float[Tensor, "b t"]:
        """Return logits: whether each token is spoilt. Raises ValueError as the features do."""
        logits: Tensor = self.spoilt(self.forward_features(tokens, weights).transpose(1, 2))
        return logits[:, :, 0]


class Mend(Task):
    """A tenth of the tokens is replaced: what stood at every place, and which are they?

    Args:
        network: to be trained.
        share: of the tokens, to be replaced.
        longest: tokens of a sample that a step looks at, from a place that is drawn.
    """

    network: SurpriseNetwork

    def __init__(self, network: SurpriseNetwork, *, share: float = 0.1, longest: int = 128) -> None:
        super().__init__()
        self.network, self.share, self.longest = network, share, longest

    def loss(self, inputs: tuple[Tensor, ...], rng: torch.Generator) -> Float[Tensor, ""]:
        """Return cross-entropy of the true tokens plus that of which are replaced, by token."""
        tokens, weights = inputs
        tokens, weights = self._cut(tokens, weights, rng)
        drawn = torch.rand(tokens.shape, generator=rng).to(tokens.device) < self.share
        others = torch.randint(UNKNOWN, self.network.vocabulary, tokens.shape, generator=rng)
        shown = torch.where(drawn & (weights > 0), others.to(tokens.device), tokens)
        h = self.network.around(shown, weights)
        surprise, _ = self.network.predicted(h, tokens)
        logits = self.network.spoilt(self.network.maps(shown, weights, h).transpose(1, 2))
        replaced = (shown != tokens).to(logits.dtype)
        detected = functional.binary_cross_entropy_with_logits(
            logits[:, :, 0], replaced, reduction="none"
        )
        return ((surprise + detected) * weights).sum() / weights.sum()

    def _cut(self, tokens: Tensor, weights: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return a stretch of every sample, from a place that is drawn."""
        beyond = weights.sum(dim=1).cpu() - self.longest
        start = (torch.rand(len(tokens), generator=rng) * (beyond.clamp_min(0) + 1)).long()
        places = start[:, None] + torch.arange(min(self.longest, tokens.shape[1]))
        places = places.to(tokens.device)
        return tokens.gather(1, places), weights.gather(1, places)
