"""Evidence: thumbnails of fitted images, and which of them an image is most like.

A bounded sample keeps each image's thumbnail and its squeezes of all blocks, side by side. With s
the standard deviation of every channel over the sample::

    distance(x, y) = sqrt(mean over channels of ((x_c - y_c) / s_c)^2)

An image is known by its thumbnail, which does not depend on the batch it was embedded in.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from detector.rows import Rows
from detector.sample import Sample

EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A fitted image: how far it is, and its thumbnail."""

    distance: float
    thumbnail: UInt8[np.ndarray, "3 t t"]


def sample(rows: Rows, limit: int) -> Sample:
    """Return a sample of at most ``limit`` of the images, whose thumbnails were kept."""
    assert rows.squeeze is not None
    assert rows.thumbnail is not None
    return Sample.of(limit, rows.thumbnail, squeeze=rows.squeeze, thumbnail=rows.thumbnail)


def nearest(kept: Sample, rows: Rows, count: int) -> list[list[Neighbour]]:
    """Return, for every image, the ``count`` fitted images it is most like, nearest first."""
    known, thumbnails = kept.columns["squeeze"], kept.columns["thumbnail"]
    if not len(kept) or rows.squeeze is None:
        return [[] for _ in range(len(rows))]
    deviation = known.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    found = []
    for squeeze in rows.squeeze:
        distances = np.sqrt(np.mean(((known - squeeze) / scale) ** 2, axis=1))
        order = np.argsort(distances, kind="stable")[:count]
        found.append([Neighbour(float(distances[i]), thumbnails[i]) for i in order])
    return found
