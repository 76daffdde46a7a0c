"""From words to a network's input: a vocabulary, padded batches, and a picture of a sequence.

A sample is int64 (t,), ids in 1..size - 1: 0 is padding, of which no sample has any, and 1 stands
for every token that the vocabulary does not know. A batch is padded at the end to its longest
sample, with weights 1 where a token stands and 0 for padding.

The picture of a sequence has one pixel a token, row by row, black after the end; for the id i::

    colour = i * 0x9E3779 mod 2^24      red: bits 16..23, green: bits 8..15, blue: bits 0..7

The factor is odd, hence invertible modulo 2^24: different sequences give different pictures, and
ids that follow one another colours that do not.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, UInt8
from torch import Tensor

from models.preprocess import THUMBNAIL_PX

PADDING, UNKNOWN = 0, 1
_RESERVED = 2
_COLOURS = 1 << 24
_SPREAD = 0x9E3779  # about 2^24 divided by the golden ratio, and odd


@dataclass(frozen=True)
class Vocabulary:
    """Which token has which id: ``tokens[i]`` has i + 2, after padding and the unknown.

    Raises:
        ValueError: if a token stands there twice, or there are more than 2^24 ids.
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.tokens):
            twice = Counter(self.tokens).most_common(1)[0][0]
            raise ValueError(f"every token must stand there once, got {twice!r} more often")
        if self.size > _COLOURS:
            raise ValueError(f"a vocabulary has at most {_COLOURS} ids, got {self.size}")

    @classmethod
    def fit(cls, samples: Iterable[Iterable[str]], limit: int = 10_000) -> "Vocabulary":
        """Return the ``limit`` most frequent tokens, most frequent first, then by alphabet.

        Raises:
            ValueError: if the limit is not positive.
        """
        if limit < 1:
            raise ValueError(f"limit must be 1 or more, got {limit}")
        counts = Counter(chain.from_iterable(samples))
        return cls(tuple(sorted(counts, key=lambda token: (-counts[token], token))[:limit]))

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """Return what ``to_json`` wrote.

        Raises:
            ValueError: if the text is not a JSON array of strings.
        """
        tokens = json.loads(text)
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError(f"a vocabulary is a JSON array of strings, got {text[:40]!r}")
        return cls(tuple(tokens))

    def to_json(self) -> str:
        """Return the tokens as a JSON array, in the order of their ids."""
        return json.dumps(self.tokens)

    @property
    def size(self) -> int:
        """How many ids there are, with padding and the unknown."""
        return len(self.tokens) + _RESERVED

    @cached_property
    def ids(self) -> dict[str, int]:
        """From token to id."""
        return {token: index + _RESERVED for index, token in enumerate(self.tokens)}

    def encode(self, tokens: Iterable[str]) -> Int64[np.ndarray, " t"]:
        """Return a sample: the ids of the tokens, 1 for those that are not known."""
        return np.array([self.ids.get(token, UNKNOWN) for token in tokens], np.int64)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a network of tokens is shown (``models.preprocess.Preparation``).

    Attributes:
        vocabulary: whose ids the samples hold.
        longest: how many tokens a sample may have.

    Raises:
        ValueError: if the longest sample has no token, or more than a picture has pixels, 4096.
    """

    vocabulary: Vocabulary
    longest: int = THUMBNAIL_PX**2

    def __post_init__(self) -> None:
        if not 1 <= self.longest <= THUMBNAIL_PX**2:
            raise ValueError(f"longest must be in 1..{THUMBNAIL_PX**2}, got {self.longest}")

    def blank(self) -> Int64[np.ndarray, " 1"]:
        """Return one unknown token."""
        return np.array([UNKNOWN], np.int64)

    def inputs(
        self, samples: Sequence[np.ndarray], device: torch.device
    ) -> tuple[tuple[Int64[Tensor, "b t"], Float[Tensor, "b t"]], None]:
        """Return ids, padded with 0, and weights, 1 where a token stands.

        Raises:
            ValueError: if a sample is not 1-D and of whole numbers, is empty or too long, or has an
                id outside 1..size - 1.
        """
        longest = max(len(self._checked(index, sample)) for index, sample in enumerate(samples))
        tokens = np.full((len(samples), longest), PADDING, np.int64)
        for row, sample in zip(tokens, samples, strict=True):
            row[: len(sample)] = sample
        ids = torch.from_numpy(tokens).to(device)
        return (ids, (ids != PADDING).float()), None

    def thumbnails(self, samples: Sequence[np.ndarray]) -> UInt8[np.ndarray, "b 3 p p"]:
        """Return a picture of every sample's ids. Raises ValueError as ``inputs`` does."""
        pixels = np.zeros((len(samples), THUMBNAIL_PX**2), np.int64)
        for index, sample in enumerate(samples):
            pixels[index, : len(sample)] = self._checked(index, sample).astype(np.int64)
        colours = pixels * _SPREAD % _COLOURS
        channels = np.stack([colours >> shift & 0xFF for shift in (16, 8, 0)], axis=1)
        return channels.astype(np.uint8).reshape(len(samples), 3, THUMBNAIL_PX, THUMBNAIL_PX)

    def _checked(self, index: int, sample: np.ndarray) -> np.ndarray:
        if sample.ndim != 1 or not np.issubdtype(sample.dtype, np.integer):
            raise ValueError(
                f"sample {index} must have shape (t,) and hold whole numbers, got "
                f"{sample.shape} of {sample.dtype}"
            )
        if not 1 <= len(sample) <= self.longest:
            raise ValueError(
                f"sample {index} must have 1..{self.longest} tokens, got {len(sample)}"
            )
        outside = sample[(sample < 1) | (sample >= self.vocabulary.size)]
        if outside.size:
            raise ValueError(
                f"sample {index} must hold ids in 1..{self.vocabulary.size - 1}, got {outside[0]}"
            )
        return sample


def check_batch(tokens: Int[Tensor, "..."], weights: Float[Tensor, "..."], size: int) -> None:
    """Refuse a batch that a network with ``size`` ids cannot read.

    Raises:
        ValueError: if the tokens are not (b, t) with t of 1 or more, the weights are not of their
            shape, an id is not in 0..size - 1, or the weights are not 0 or 1 with a 1 for every
            sample. Values are not looked at while a graph of operations is recorded.
    """
    shape = tuple(tokens.shape)
    if len(shape) != 2 or shape[1] < 1:
        raise ValueError(f"tokens must have shape (b, t) with t of 1 or more, got {shape}")
    if tuple(weights.shape) != shape:
        raise ValueError(f"weights must have shape {shape}, got {tuple(weights.shape)}")
    if torch.compiler.is_compiling():
        return
    outside = tokens[(tokens < 0) | (tokens >= size)]
    if outside.numel():
        raise ValueError(f"tokens must be ids in 0..{size - 1}, got {int(outside[0])}")
    odd = weights[(weights != 0) & (weights != 1)]
    if odd.numel():
        raise ValueError(f"weights must be 0 or 1, got {float(odd[0])}")
    empty = (weights.sum(dim=1) == 0).nonzero()
    if empty.numel():
        raise ValueError(f"every sequence must have a token, got none in sample {int(empty[0])}")
