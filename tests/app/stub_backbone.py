"""A backbone without torch: colours and their spread on a grid; deterministic, and fast."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.input_statistics import input_statistics

GRID = 16


class StubBackbone:
    """What an ``Embedder`` offers, of two blocks; an image's embedding depends on it alone."""

    name = "se-lite0"
    device = "cpu"
    engine = "torch"
    fingerprint = "5" * 64
    best_batch = 4
    lanes = 1
    regional = ("early",)

    def __init__(self) -> None:
        self.channels = {"early": 6, "late": 12}

    @property
    def shares_cores(self) -> bool:
        """As an ``Embedder`` on a CPU."""
        return self.lanes > 1

    def prepare(
        self, image: NDArray[np.uint8], side_px: int, mask: NDArray[np.uint8] | None = None
    ) -> NDArray[np.uint8]:
        """Return the image as a square, channels first."""
        assert mask is None
        square = Image.fromarray(image).resize((side_px, side_px), Image.Resampling.BOX)
        return np.ascontiguousarray(np.moveaxis(np.asarray(square), 2, 0))

    def warm(self, side_px: int, *, masked: bool = False, wait: bool = False) -> bool:
        """Do nothing, at once."""
        return True

    def engine_of(self, side_px: int) -> str:
        """Return the one there is."""
        return self.engine

    def weights(self, mask: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
        """Return a full mask."""
        return np.full((1, side_px, side_px), 255, np.uint8)

    def embed(self, images: Sequence[NDArray[np.uint8]]) -> Embedding:
        """Return the embedding of prepared images."""
        parts = [self._one(image) for image in images]
        return Embedding.concatenate(parts)

    def _one(self, image: NDArray[np.uint8]) -> Embedding:
        side = image.shape[1] // GRID
        tiles = image.reshape(3, GRID, side, GRID, side).astype(np.float64) / 255
        cells = np.concatenate([tiles.mean(axis=(2, 4)), tiles.std(axis=(2, 4))])  # (6, g, g)
        flat = cells.reshape(6, -1)
        rows = {
            "early": flat.mean(axis=1),
            "late": np.concatenate([flat[:, ::7].std(1), flat.max(1)]),
        }
        tables: dict[str, Any] = {
            name: {block: (row * scale)[None].astype(np.float32) for block, row in rows.items()}
            for name, scale in (("gate", 0.5), ("mean", 1.0), ("std", 0.3), ("maximum", 2.0))
        }
        regional = {"early": flat.T[None].astype(np.float32)}
        thumbnail = image[:, :: max(image.shape[1] // 32, 1), :: max(image.shape[1] // 32, 1)]
        small = thumbnail[None, :, :32, :32].copy()
        return Embedding(
            **tables, regional=regional, thumbnail=small, inputs=input_statistics([image])
        )


def stub_embedder() -> Embedder:
    """Return the stub as the service takes it."""
    return cast(Embedder, StubBackbone())
