"""An embedding: what a backbone saw in n images, as NumPy arrays.

It belongs to the images, not to a detector: one pass serves every detector on the same backbone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from detector.input_statistics import Inputs

Vectors = Float32[np.ndarray, "n c"]
Cells = Float32[np.ndarray, "n k d"]  # d is c of a block of its own
Thumbnails = UInt8[np.ndarray, "n 3 t t"]

VIEWS = 4
"""How an image can be mirrored: not, left to right, upside down, both."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """Gates, squeeze statistics and regional squeezes of n images, by block, and thumbnails.

    ``regional`` holds the last block of each stage; its k = side^2 cells lie row by row over the
    image, and those outside the image's region of interest are NaN.
    ``inputs`` says how the pictures look; None of what is no picture.
    """

    gate: dict[str, Vectors]
    mean: dict[str, Vectors]
    std: dict[str, Vectors]
    maximum: dict[str, Vectors]
    regional: dict[str, Cells]
    thumbnail: Thumbnails
    inputs: Inputs | None = None

    def __len__(self) -> int:
        return len(self.thumbnail)

    def image(self, index: int) -> "Embedding":
        """Return the embedding of one image, n = 1."""
        return self if len(self) == 1 else self.images(slice(index, index + 1))

    def images(self, which: slice) -> "Embedding":
        """Return the embedding of some of the images."""
        return _combine([self], lambda arrays: arrays[0][which])

    @classmethod
    def concatenate(cls, parts: Sequence["Embedding"]) -> "Embedding":
        """Return the embeddings of several batches as one, in order; at least one is needed."""
        return parts[0] if len(parts) == 1 else _combine(parts, np.concatenate)


def _combine(
    parts: Sequence[Embedding], combine: Callable[[list[np.ndarray]], np.ndarray]
) -> Embedding:
    """Return the embedding whose every array is made of the parts' arrays of that name."""
    combined: dict[str, Any] = {}
    for field in fields(Embedding):
        first = getattr(parts[0], field.name)
        if any(getattr(part, field.name) is None for part in parts):
            combined[field.name] = None
        elif isinstance(first, dict):
            combined[field.name] = {
                block: combine([getattr(part, field.name)[block] for part in parts])
                for block in first
            }
        else:
            combined[field.name] = combine([getattr(part, field.name) for part in parts])
    return Embedding(**combined)


def mirrored(image: UInt8[np.ndarray, "channels s s"]) -> list[UInt8[np.ndarray, "channels s s"]]:
    """Return the four views of a prepared image, itself first."""
    views = (image, image[:, :, ::-1], image[:, ::-1], image[:, ::-1, ::-1])
    return [np.ascontiguousarray(view) for view in views]
