"""Rows: what a detector looks at of some images; all it needs to learn, judge or forget them.

They are kept beside a fitted detector, so that an image can be forgotten by its digest, and for
scored images, so that the past can be judged anew; without thumbnails where pixels must not stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, UInt8

from detector.descriptors import BlockRows
from detector.input_statistics import Inputs


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of n views of images, by block; squeezes of all blocks and thumbnails for evidence.

    ``squeeze`` (n, c) and ``thumbnail`` (n, 3, t, t) are None where they were not kept, and so is
    ``inputs``, how the pictures look.
    """

    blocks: BlockRows
    squeeze: Float32[np.ndarray, "n c"] | None = None
    thumbnail: UInt8[np.ndarray, "n 3 t t"] | None = None
    inputs: Inputs | None = None

    def __len__(self) -> int:
        return len(next(iter(self.blocks.values())))

    def take(self, which: slice | Sequence[int]) -> "Rows":
        """Return the rows of some of the views."""
        index = which if isinstance(which, slice) else np.asarray(which, dtype=np.intp)
        return Rows(
            {name: rows[index] for name, rows in self.blocks.items()},
            None if self.squeeze is None else self.squeeze[index],
            None if self.thumbnail is None else self.thumbnail[index],
            None if self.inputs is None else self.inputs[index],
        )

    def without_pixels(self) -> "Rows":
        """Return them without what shows the images or tells them apart."""
        return Rows(self.blocks, inputs=self.inputs)

    @classmethod
    def concatenate(cls, parts: Sequence["Rows"]) -> "Rows":
        """Return the rows of several parts as one, in order; at least one is needed."""
        squeezes = [part.squeeze for part in parts if part.squeeze is not None]
        thumbnails = [part.thumbnail for part in parts if part.thumbnail is not None]
        inputs = [part.inputs for part in parts if part.inputs is not None]
        return cls(
            {
                name: np.concatenate([part.blocks[name] for part in parts])
                for name in parts[0].blocks
            },
            np.concatenate(squeezes) if len(squeezes) == len(parts) else None,
            np.concatenate(thumbnails) if len(thumbnails) == len(parts) else None,
            np.concatenate(inputs) if len(inputs) == len(parts) else None,
        )
