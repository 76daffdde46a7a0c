"""Maps: from the scores of a grid's cells to a picture's pixels, and to the region that stands out.

A cell's value is the score of an otherwise typical image whose worst cells are like it, so the map
shares the score's scale and its threshold: never stretched per image.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import distance_transform_edt, find_objects, label, zoom

from detector.verdict import Region

_LINE_SHARE = 0.5
"""Without a threshold, or below it, the region is what lies above the middle of the map's range."""


def upsample(cells: Float[np.ndarray, "g g"], height: int, width: int) -> Float[np.ndarray, "h w"]:
    """Return the map at (height, width), bilinear between the cells' centres, NaN kept as NaN."""
    outside = np.isnan(cells)
    nearest = distance_transform_edt(outside, return_distances=False, return_indices=True)
    filled = cells[tuple(nearest)]  # so that what lies outside does not dim the edge
    scale = (height / cells.shape[0], width / cells.shape[1])
    smooth: np.ndarray = zoom(filled, scale, order=1, mode="nearest", grid_mode=True)
    smooth[zoom(outside, scale, order=0, mode="nearest", grid_mode=True)] = np.nan
    return smooth


def worst_region(cells: Float[np.ndarray, "g g"], threshold: float | None) -> Region | None:
    """Return the connected cells around the highest one; None if every cell is NaN.

    They are the cells above the middle between the lowest and the highest, and above the threshold
    if the highest is.
    """
    inside = np.fmax(cells, -np.inf)  # NaN is lower than any score
    peak = np.unravel_index(np.argmax(inside), cells.shape)
    lowest, highest = float(np.fmin.reduce(cells, axis=None)), float(inside[peak])
    if np.isnan(lowest):
        return None
    line = lowest + _LINE_SHARE * (highest - lowest)
    if threshold is not None and highest > threshold:
        line = max(line, threshold)
    parts, _ = label(inside >= min(line, highest))
    rows, columns = find_objects(parts)[parts[peak] - 1]
    height, width = cells.shape
    return Region(
        left=columns.start / width,
        top=rows.start / height,
        width=(columns.stop - columns.start) / width,
        height=(rows.stop - rows.start) / height,
        peak=highest,
    )
