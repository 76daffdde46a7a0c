"""Embeddings cut and composed for tests of the statistics, and values made comparable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.artefact import decision_bytes, fit_bytes, read_fit, with_decision
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.row_file import read_rows, rows_bytes
from detector.rows import Rows
from detector.sample import Sample

PARTS = ("gate", "mean", "std", "maximum")
GRID, REGIONAL_CHANNELS, THUMBNAIL_PX = 4, 3, 2


@dataclass(frozen=True)
class Scene:
    """Embeddings of one normal state, in disjoint parts, and of pictures that are not of it."""

    fit: Embedding
    more: Embedding
    calibration: Embedding
    fresh: Embedding
    anomalous: Embedding


def changed(embedding: Embedding, change: Callable[[str, np.ndarray], np.ndarray]) -> Embedding:
    """Return the embedding with every array changed; ``change`` is told the array's part."""
    made: dict[str, Any] = {}
    for field in fields(Embedding):
        held = getattr(embedding, field.name)
        made[field.name] = (
            {block: change(field.name, rows) for block, rows in held.items()}
            if isinstance(held, dict)
            else None
            if held is None
            else change(field.name, held)
        )
    return Embedding(**made)


def select(embedding: Embedding, indices: Sequence[int] | NDArray[np.intp]) -> Embedding:
    """Return the embedding of chosen images, in the order given; repeats are allowed."""
    chosen = np.asarray(indices, dtype=np.intp)
    return changed(embedding, lambda _, rows: rows[chosen])


def embed_all(
    embedder: Embedder, images: Sequence[NDArray[np.uint8]], side_px: int, batch: int = 20
) -> Embedding:
    """Return the embedding of pictures of any size, in batches."""
    prepared = [embedder.prepare(image, side_px) for image in images]
    return Embedding.concatenate(
        [embedder.embed(prepared[i : i + batch]) for i in range(0, len(prepared), batch)]
    )


def synthetic(
    seed: int, n: int, widths: dict[str, int] | None = None, grid: int = GRID
) -> Embedding:
    """Return correlated random rows as an embedding; only their shapes are those of real images.

    The normal state is the same whatever the seed: channels and cells differ in level and size.
    """
    rng, world = np.random.default_rng(seed), np.random.default_rng(99)
    widths = widths or {"first": 3, "second": 2}

    def rows(c: int, *cells: int) -> np.ndarray:
        mixing, level = world.normal(size=(c, c)), world.uniform(-3, 3, size=(*cells, c))
        values: np.ndarray = (rng.normal(size=(n, *cells, c)) @ mixing + level).astype(np.float32)
        return values

    parts: dict[str, Any] = {
        part: {block: rows(c) for block, c in widths.items()} for part in PARTS
    }
    parts["gate"] = {block: 1 / (1 + np.exp(-logit)) for block, logit in parts["gate"].items()}
    last = list(widths)[-1]
    size = (n, 3, THUMBNAIL_PX, THUMBNAIL_PX)
    return Embedding(
        **parts,
        regional={last: rows(REGIONAL_CHANNELS, grid * grid)},
        thumbnail=rng.integers(0, 256, size=size, dtype=np.uint8),
    )


def fitted_to(detector: Detector, embedding: Embedding) -> Detector:
    """Return the detector fitted to these images alone."""
    return detector.learn(detector.statistics_of(embedding), extend=False)


def restarted(detector: Detector) -> Detector:
    """Return what a new process would read from the detector's two files."""
    fitted = read_fit(fit_bytes(detector))
    return with_decision(fitted, decision_bytes(detector), detector.version)


def stored(rows: Rows) -> Rows:
    """Return what a new process would read from a file of these rows."""
    found, _ = read_rows(rows_bytes(rows, {}))
    assert found is not None
    return found


def bits(value: Any) -> Any:
    """Return a value in a comparable form, to the last bit: detectors, statistics, verdicts.

    The order of a mapping counts, but for a sample's columns.
    """
    if isinstance(value, Sample):
        return value.limit, bits(value.keys), bits(dict(sorted(value.columns.items())))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if is_dataclass(value):
        return [(field.name, bits(getattr(value, field.name))) for field in fields(value)]
    if isinstance(value, Mapping):
        return [(key, bits(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return [bits(each) for each in value]
    return value
