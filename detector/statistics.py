"""What is fitted: by name, moments of rows, moments of cells, and bounded samples.

Fitting is adding these up; every one of them merges and subtracts on its own.
"""

from collections.abc import Mapping

import numpy as np

from detector import evidence
from detector.cell_moments import CellMoments
from detector.descriptors import REGIONAL
from detector.embedding import VIEWS
from detector.evidence import EVIDENCE
from detector.moments import Moments
from detector.options import Options
from detector.rows import Rows
from detector.sample import Sample, keys_of

MEMORY = "memory"
"""Name of the sample of regional rows that the regional score may keep."""

Statistic = Moments | CellMoments | Sample
Statistics = Mapping[str, Statistic]
"""Name -> what was fitted; all of the same images."""


def of(rows: Rows, options: Options) -> Statistics:
    """Return the statistics of some images whose rows these are; views of an image in a row.

    Samples know an image by its thumbnail: where none was kept, there is no sample.
    """
    found: dict[str, Statistic] = {
        name: Moments.of(part) if part.ndim == 2 else CellMoments.of(part)
        for name, part in rows.blocks.items()
    }
    if rows.thumbnail is None:
        return found
    if options.memory and REGIONAL in rows.blocks:
        found[MEMORY] = _memory(rows.thumbnail, rows.blocks[REGIONAL], options.memory)
    if options.evidence:
        seen = rows.take(slice(None, None, VIEWS if options.flips else 1))  # not mirrored
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
    both = {
        name: part + second[name]  # type: ignore[operator]
        for name, part in first.items()
        if name in second
    }
    return {**first, **second, **both}


def subtract(whole: Statistics, part: Statistics) -> Statistics:
    """Return the statistics without a set that was merged before.

    Raises:
        ValueError: if the names differ or more would be forgotten than was seen.
    """
    _check_names(whole, part)
    return {
        name: each - part[name] if name in part else each  # type: ignore[operator]
        for name, each in whole.items()
    }


def _check_names(first: Statistics, second: Statistics) -> None:
    """Refuse statistics of other rows; only samples may be missing from one of them."""
    if _moments(first) != _moments(second):
        raise ValueError(f"statistics differ: {sorted(first)} and {sorted(second)}")


def _moments(statistics: Statistics) -> set[str]:
    return {name for name, part in statistics.items() if not isinstance(part, Sample)}


def _memory(thumbnails: np.ndarray, cells: np.ndarray, limit: int) -> Sample:
    """Return a sample of regional rows, known by their image's thumbnail and their place."""
    n, k, _ = cells.shape
    image, cell = (index.ravel() for index in np.indices((n, k)))
    inside = ~np.isnan(cells[image, cell, 0])
    image, cell = image[inside], cell[inside]
    identity = np.stack([keys_of(thumbnails)[image], cell.astype(np.uint64)], axis=1)
    return Sample.of(limit, identity, row=cells[image, cell])
