"""From an image and its words to a network's input: maps of the frozen SE-Lite0, and ids.

The images of one detector are too few to learn to see from. The trunk has seen ImageNet, and stays
as it is: it runs once an image, here, and what is learned begins at its maps. For the outputs x_e
of the blocks e that end the stages of strides 4, 8, 16 and 32 (24, 40, 112 and 320 channels)::

    map = [mean of x_e over every cell of a g x g grid, for all e]     (496, g, g)
    g   = ceil(side / 32)

A prepared sample is one float32 vector: a thumbnail (3, 64, 64), the map, and the ids of the words
(whole numbers below 2^24, exact in float32). Ours: the four stages side by side.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from models.checkpoints import GATES_FILE, TRUNK_SHA256, read
from models.lite0 import STAGES
from models.preprocess import LITE0, THUMBNAIL_PX
from models.se_lite0 import SeLite0, se_lite0
from models.tokens import Tokens

ENDS = (2, 4, 10, 15)
"""The blocks whose outputs are kept: the last of each stride, 4, 8, 16 and 32."""
_BLOCKS = [stage.channels for stage in STAGES for _ in range(stage.blocks)]
CHANNELS = sum(_BLOCKS[end] for end in ENDS)
_STRIDE = 32
_THUMBNAIL = 3 * THUMBNAIL_PX**2


@runtime_checkable
class WordedImage(Protocol):
    """An image with its words."""

    @property
    def pixels(self) -> UInt8[np.ndarray, "h w 3"]:
        """The image in red, green and blue."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words of its text, one at least."""


@lru_cache(maxsize=1)
def trunk() -> SeLite0:
    """Return the frozen network. Raises models.checkpoints.WeightsError."""
    return se_lite0().requires_grad_(requires_grad=False)


@lru_cache(maxsize=1)
def trunk_digest() -> str:
    """Return the digest of the frozen network's weights: what was learned belongs to them."""
    return hashlib.sha256(TRUNK_SHA256.encode() + read(GATES_FILE)).hexdigest()


def cells(side_px: int) -> int:
    """Return g: how many cells a map has along one side."""
    return -(-side_px // _STRIDE)


@dataclass(frozen=True, slots=True)
class ImageTextInputs:
    """What a network of images with texts is shown (``models.preprocess.Preparation``).

    Attributes:
        side_px: of the square that an image becomes.
        words: from words to ids.
        trunk: digest of the frozen network, for the fingerprint.

    Raises:
        ValueError: if the side is not in 64..512.
    """

    side_px: int
    words: Tokens
    trunk: str = field(default_factory=trunk_digest)

    def __post_init__(self) -> None:
        if not 64 <= self.side_px <= 512:
            raise ValueError(f"side_px must be in 64..512, got {self.side_px}")

    @property
    def grid(self) -> int:
        """How many cells a map has along one side."""
        return cells(self.side_px)

    def blank(self) -> Float32[np.ndarray, " k"]:
        """Return nothing at all with one unknown word."""
        nothing = np.zeros(_THUMBNAIL + CHANNELS * self.grid**2, np.float32)
        return np.concatenate([nothing, self.words.blank().astype(np.float32)])

    def prepare(self, sample: WordedImage) -> Float32[np.ndarray, " k"]:
        """Return the vector of a sample; thread-safe.

        Raises:
            ValueError: if it has no word, or too many.
        """
        ids = self.words.vocabulary.encode(sample.words)
        if not 1 <= len(ids) <= self.words.longest:
            raise ValueError(f"a text must have 1..{self.words.longest} words, got {len(ids)}")
        pixels = torch.from_numpy(LITE0.resize(sample.pixels, self.side_px))[None]
        with torch.inference_mode():
            outputs = trunk().features(LITE0.normalise(pixels))
            maps = [functional.adaptive_avg_pool2d(outputs[end], self.grid) for end in ENDS]
            flat = torch.cat(maps, dim=1).flatten().numpy()
        thumbnail = LITE0.thumbnails([pixels[0].numpy()])[0]
        strip = self.words.thumbnails([ids])[0, :, : self._strip_px]
        thumbnail[:, THUMBNAIL_PX - self._strip_px :] = strip
        return np.concatenate([thumbnail.ravel(), flat, ids], dtype=np.float32)

    def inputs(
        self, samples: Sequence[np.ndarray], device: torch.device
    ) -> tuple[
        tuple[Float[Tensor, "b c g g"], Int64[Tensor, "b t"], Float[Tensor, "b t"]],
        None,
    ]:
        """Return maps, ids padded with 0, and weights, 1 where a word stands.

        Raises:
            ValueError: if a sample is no vector of this preparation.
        """
        begin = _THUMBNAIL + CHANNELS * self.grid**2
        for index, sample in enumerate(samples):
            if sample.ndim != 1 or not begin < len(sample) <= begin + self.words.longest:
                raise ValueError(
                    f"sample {index} must have shape ({begin} + words,) with 1.."
                    f"{self.words.longest} words, got {sample.shape}"
                )
        maps = np.stack([sample[_THUMBNAIL:begin] for sample in samples])
        shaped = maps.reshape(len(samples), CHANNELS, self.grid, self.grid)
        (ids, weights), _ = self.words.inputs(
            [sample[begin:].astype(np.int64) for sample in samples], device
        )
        return (torch.from_numpy(shaped).to(device), ids, weights), None

    def thumbnails(self, samples: Sequence[np.ndarray]) -> UInt8[np.ndarray, "b 3 t t"]:
        """Return the images resized, with the colours of their words' ids along the bottom."""
        whole = np.stack([sample[:_THUMBNAIL] for sample in samples]).astype(np.uint8)
        return whole.reshape(len(samples), 3, THUMBNAIL_PX, THUMBNAIL_PX)

    @property
    def _strip_px(self) -> int:
        return -(-self.words.longest // THUMBNAIL_PX)
