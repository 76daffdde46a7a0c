"""Embeddings cut and composed for tests of the statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.embedder import Embedder, Embedding

PARTS = ("gate", "mean", "std", "maximum")


@dataclass(frozen=True)
class Scene:
    """Embeddings of one normal state, in disjoint parts, and of pictures that are not of it."""

    fit: Embedding
    more: Embedding
    calibration: Embedding
    fresh: Embedding
    anomalous: Embedding


def select(embedding: Embedding, indices: Sequence[int] | NDArray[np.intp]) -> Embedding:
    """Return the embedding of chosen images, in the order given; repeats are allowed."""
    chosen = np.asarray(indices, dtype=np.intp)
    return Embedding(
        *({block: rows[chosen] for block, rows in getattr(embedding, p).items()} for p in PARTS)
    )


def embed_all(
    embedder: Embedder, images: Sequence[NDArray[np.uint8]], side_px: int, batch: int = 20
) -> Embedding:
    """Return the embedding of pictures of any size, in batches."""
    prepared = [embedder.prepare(image, side_px) for image in images]
    return Embedding.concatenate(
        [embedder.embed(prepared[i : i + batch]) for i in range(0, len(prepared), batch)]
    )


def synthetic(seed: int, n: int, widths: dict[str, int] | None = None) -> Embedding:
    """Return random rows as an embedding; only their shapes are those of real images."""
    rng = np.random.default_rng(seed)
    widths = widths or {"first": 3, "second": 2}
    return Embedding(
        *({b: rng.normal(size=(n, c)).astype(np.float32) for b, c in widths.items()} for _ in PARTS)
    )
