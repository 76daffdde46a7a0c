"""How a calibration has scored, as a histogram: normal images beside known anomalies.

Bins are of equal width and cover all scores and the line; each holds its lower edge, the last one
its upper edge too.
"""

from dataclasses import dataclass
from math import ulp
from sys import float_info

import numpy as np
from jaxtyping import Float, Int

from detector.calibration import Calibration


@dataclass(frozen=True, slots=True)
class Histogram:
    """Images by score.

    Attributes:
        edges: of the bins, ascending and finite, (bins + 1,).
        normal: calibration images in each, (bins,).
        anomalous: known anomalies in each, (bins,).
    """

    edges: Float[np.ndarray, " k"]
    normal: Int[np.ndarray, " b"]
    anomalous: Int[np.ndarray, " b"]


def histogram(calibration: Calibration, line: float | None, bins: int) -> Histogram:
    """Return how many scores lie where; the line, if there is one, lies between the edges."""
    lines = [] if line is None else [line]
    edges = _edges(np.concatenate([calibration.scores, calibration.anomalies, lines]), bins)
    normal, _ = np.histogram(calibration.scores, edges)
    anomalous, _ = np.histogram(calibration.anomalies, edges)
    return Histogram(edges, normal, anomalous)


def _edges(values: Float[np.ndarray, " n"], bins: int) -> Float[np.ndarray, " k"]:
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    most = max(abs(low), abs(high))
    if high - low <= 8 * bins * ulp(most):  # alike, or too near for edges that differ
        half = max(most, 1.0) / 2
        low, high = max(low - half, -float_info.max), min(high + half, float_info.max)
    share = np.arange(bins + 1) / bins
    # As a weighted mean, for the width of the largest range is no finite number.
    return low * (1 - share) + high * share
