"""Pictures of a map: the image with its odd places coloured, on a scale tied to the threshold.

A place's value v is a score (``detector.heatmap``), so v / threshold means the same in every
picture of a detector: up to 0.8 nothing is painted, at 1 (enough to flag an image) yellow, from 1.6
on red, opaquer on the way.
The worst region is framed when the image is flagged.
"""

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from app.results import Inspected
from detector import heatmap
from detector.errors import NotCalibratedError
from detector.imaging import Pixels
from detector.kinds.pictures import painting
from detector.verdict import Verdict

MEDIA_TYPES = {"png": "image/png", "npy": "application/octet-stream"}
MAX_SIDE_PX = 1024


def shape(pixels: Pixels) -> tuple[int, int]:
    """Return height and width of the picture of a map: the image's, its long side at most 1024."""
    height, width = pixels.shape[:2]
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    return max(round(height * scale), 1), max(round(width * scale), 1)


def of(inspected: Inspected, kind: Literal["png", "npy"]) -> bytes:
    """Return a map as PNG overlay, or as a NumPy file of its values.

    Of another kind of sample it is its picture, or the shares of its first map.

    Raises:
        NotCalibratedError: if an overlay is asked of a detector that is not calibrated.
    """
    pixels, verdict = inspected.pixels, inspected.verdict
    if inspected.places:
        return _file(inspected.places[0].values) if kind == "npy" else _picture(pixels)
    if kind == "npy":
        return npy(pixels, verdict)
    if verdict.threshold is None or verdict.p_value is None:
        raise NotCalibratedError(
            f"detector {inspected.detector!r} has no calibration images, which tie the "
            "colours to the threshold: calibrate it, or ask for format=npy"
        )
    return png(pixels, verdict, verdict.threshold)


def png(pixels: Pixels, verdict: Verdict, threshold: float) -> bytes:
    """Return the overlay of an image's map as PNG; the verdict has a map."""
    assert verdict.cells is not None
    height, width = shape(pixels)
    picture = np.asarray(Image.fromarray(pixels).resize((width, height)), dtype=np.float64)
    values = heatmap.upsample(verdict.cells, height, width)
    ratio = np.nan_to_num(values) / max(threshold, np.finfo(float).tiny)
    painted = Image.fromarray(painting.painted(picture, ratio))
    if verdict.flagged and verdict.region is not None:
        box = verdict.region
        left, top = box.left * width, box.top * height
        right = max(left, left + box.width * width - 1)  # a cell may be less than a pixel
        bottom = max(top, top + box.height * height - 1)
        ImageDraw.Draw(painted).rectangle((left, top, right, bottom), outline="white", width=2)
    return _picture(np.asarray(painted))


def npy(pixels: Pixels, verdict: Verdict) -> bytes:
    """Return the map as a NumPy file, float32 (h, w); NaN outside the mask."""
    assert verdict.cells is not None
    return _file(heatmap.upsample(verdict.cells, *shape(pixels)))


def _picture(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _file(values: NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values.astype(np.float32))
    return buffer.getvalue()
