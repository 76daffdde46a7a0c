"""What is fitted: by name, moments of rows, moments of cells, and bounded samples.

Fitting is adding these up; every one of them merges and subtracts on its own.
"""

from collections.abc import Mapping

import numpy as np

from detector import evidence
from detector.cell_moments import CellMoments
from detector.descriptors import REGIONAL, BlockRows
from detector.embedding import VIEWS, Embedding
from detector.evidence import EVIDENCE
from detector.moments import Moments
from detector.options import Options
from detector.sample import Sample, keys_of

MEMORY = "memory"
"""Name of the sample of regional rows that the regional score may keep."""

Statistic = Moments | CellMoments | Sample
Statistics = Mapping[str, Statistic]
"""Name -> what was fitted; all of the same images."""


def of(embedding: Embedding, rows: BlockRows, options: Options) -> Statistics:
    """Return the statistics of some images whose rows these are; views of an image in a row."""
    found: dict[str, Statistic] = {
        name: Moments.of(part) if part.ndim == 2 else CellMoments.of(part)
        for name, part in rows.items()
    }
    if options.memory and REGIONAL in rows:
        found[MEMORY] = _memory(embedding, rows[REGIONAL], options.memory)
    if options.evidence:
        seen = embedding.images(slice(None, None, VIEWS if options.flips else 1))  # not mirrored
        found[EVIDENCE] = evidence.sample(seen, options.evidence)
    return found


def images(statistics: Statistics) -> int:
    """Return how many images were fitted."""
    return max((part.n for part in statistics.values() if not isinstance(part, Sample)), default=0)


def merge(first: Statistics, second: Statistics) -> Statistics:
    """Return the statistics of both sets; an empty mapping is the neutral element.

    Raises:
        ValueError: if the names differ.
    """
    if not first or not second:
        return first or second
    _check_names(first, second)
    return {name: part + second[name] for name, part in first.items()}  # type: ignore[operator]


def subtract(whole: Statistics, part: Statistics) -> Statistics:
    """Return the statistics without a set that was merged before.

    Raises:
        ValueError: if the names differ or more would be forgotten than was seen.
    """
    _check_names(whole, part)
    return {name: each - part[name] for name, each in whole.items()}  # type: ignore[operator]


def _check_names(first: Statistics, second: Statistics) -> None:
    if first.keys() != second.keys():
        raise ValueError(f"statistics differ: {sorted(first)} and {sorted(second)}")


def _memory(embedding: Embedding, cells: np.ndarray, limit: int) -> Sample:
    """Return a sample of regional rows, known by their image's thumbnail and their place."""
    n, k, _ = cells.shape
    image, cell = (index.ravel() for index in np.indices((n, k)))
    inside = ~np.isnan(cells[image, cell, 0])
    image, cell = image[inside], cell[inside]
    identity = np.stack([keys_of(embedding.thumbnail)[image], cell.astype(np.uint64)], axis=1)
    return Sample.of(limit, identity, row=cells[image, cell])
