"""What is counted at every possible line when anomalies are known."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from detector.calibration import Calibration
from detector.errors import MissingAnomaliesError
from detector.thresholds.base import require_images


@dataclass(frozen=True)
class Cuts:
    """All lines that differ in what they flag, highest first, with what each flags."""

    lines: Float[np.ndarray, " c"]
    false_alarms: Int[np.ndarray, " c"]
    detections: Int[np.ndarray, " c"]


def cuts(calibration: Calibration, method: str) -> Cuts:
    """Return one line between any two scores, midway, one at the highest and one below the least.

    Raises:
        MissingAnomaliesError: if no anomaly is known.
        InsufficientCalibrationError: if there is no normal image.
    """
    if not len(calibration.anomalies):
        raise MissingAnomaliesError(
            f"{method} weighs false alarms against known anomalies: calibrate with some, or take a "
            f"method that needs none, such as 'conformal'"
        )
    require_images(calibration, 1, method)
    values = np.unique(np.concatenate([calibration.scores, calibration.anomalies]))
    low, high = values[:-1], values[1:]
    middle = low / 2 + high / 2  # no overflow
    between = np.where((low <= middle) & (middle < high), middle, low)  # neighbouring floats
    lines = np.concatenate([[np.nextafter(values[0], -np.inf)], between, values[-1:]])[::-1]
    lines = lines[np.isfinite(lines)]
    return Cuts(lines, _above(calibration.scores, lines), _above(calibration.anomalies, lines))


def _above(scores: Float[np.ndarray, " n"], lines: Float[np.ndarray, " c"]) -> np.ndarray:
    return len(scores) - np.searchsorted(np.sort(scores), lines, side="right")


def counted(calibration: Calibration, line: float) -> str:
    """Return what a line flags of the images it was chosen on."""
    return (
        f"{calibration.detected(line)} known anomalies and {calibration.above(line)} calibration "
        f"images lie above it; it was chosen on them, so new images will fare worse"
    )
