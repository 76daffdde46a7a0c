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
from detector.verdict import Verdict

MEDIA_TYPES = {"png": "image/png", "npy": "application/octet-stream"}
MAX_SIDE_PX = 1024
CLEAR, FULL = 0.8, 1.6
"""Ratio to the threshold up to which nothing is painted, and from which on the paint is full."""
_YELLOW, _RED = np.array([255.0, 215.0, 0.0]), np.array([215.0, 0.0, 20.0])
_OPACITY = 0.75

Pixels = NDArray[np.uint8]


def shape(pixels: Pixels) -> tuple[int, int]:
    """Return height and width of the picture of a map: the image's, its long side at most 1024."""
    height, width = pixels.shape[:2]
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    return max(round(height * scale), 1), max(round(width * scale), 1)


def of(inspected: Inspected, kind: Literal["png", "npy"]) -> bytes:
    """Return a map as PNG overlay, or as a NumPy file of its values.

    Raises:
        NotCalibratedError: if an overlay is asked of a detector that is not calibrated.
    """
    pixels, verdict = inspected.pixels, inspected.verdict
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
    painted = Image.fromarray(_painted(picture, np.nan_to_num(values), threshold))
    if verdict.flagged and verdict.region is not None:
        box = verdict.region
        left, top = box.left * width, box.top * height
        right = max(left, left + box.width * width - 1)  # a cell may be less than a pixel
        bottom = max(top, top + box.height * height - 1)
        ImageDraw.Draw(painted).rectangle((left, top, right, bottom), outline="white", width=2)
    buffer = io.BytesIO()
    painted.save(buffer, "PNG")
    return buffer.getvalue()


def npy(pixels: Pixels, verdict: Verdict) -> bytes:
    """Return the map as a NumPy file, float32 (h, w); NaN outside the mask."""
    assert verdict.cells is not None
    buffer = io.BytesIO()
    values = heatmap.upsample(verdict.cells, *shape(pixels)).astype(np.float32)
    np.save(buffer, values)
    return buffer.getvalue()


def _painted(picture: NDArray[np.float64], values: NDArray[np.float64], threshold: float) -> Pixels:
    ratio = values / max(threshold, np.finfo(float).tiny)
    strength = np.clip((ratio - CLEAR) / (FULL - CLEAR), 0, 1)[:, :, None]
    redness = np.clip((ratio - 1) / (FULL - 1), 0, 1)[:, :, None]
    colour = (1 - redness) * _YELLOW + redness * _RED
    opacity = _OPACITY * np.sqrt(strength)
    blended: Pixels = np.rint((1 - opacity) * picture + opacity * colour).astype(np.uint8)
    return blended
