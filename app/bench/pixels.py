"""Maps against the masks of defects, at the resolution of the pictures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.bench.images import Reader, read_mask
from app.bench.layouts import TestImage
from detector.errors import SampleError
from detector.metrics import PixelRanking

Map = NDArray[np.floating[Any]]


def upsample(anomaly: Map, height: int, width: int) -> Map:
    """Return a map (g, g) of the whole image at (height, width), bilinear, by pixel centres."""
    picture = Image.fromarray(anomaly.astype(np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def rank_pixels(
    maps: Map, images: Sequence[TestImage], shapes: Sequence[tuple[int, int]], reader: Reader
) -> PixelRanking | None:
    """Return the ranking of all pixels, or None if there is no readable mask.

    Good images count whole as normal; defective images without a mask are left out. A mask that
    cannot be read is noted by the reader.
    """
    ranking, masks = PixelRanking(maps), 0
    for anomaly, image, shape in zip(maps, images, shapes, strict=True):
        if image.mask:
            try:
                mask = read_mask(image.mask)
            except SampleError as error:
                reader.rejected[image.mask] = str(error)
                continue
            masks += bool(mask.any())
        elif image.anomalous:
            continue
        else:
            mask = np.zeros(shape, dtype=np.bool_)
        ranking.add(upsample(anomaly, *mask.shape), mask)
    return ranking if masks else None
