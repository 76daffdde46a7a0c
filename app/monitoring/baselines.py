"""The baseline of a monitor: the calibration of a version, and what tells it from others."""

import hashlib
from datetime import datetime

import numpy as np

from app.monitoring.notes import Reference
from detector.calibration import Calibration
from detector.detector import Detector
from detector.drift.state import Baseline


def key_of(known: Calibration) -> str:
    """Return what tells a calibration from those of other scores or pictures."""
    digest = hashlib.sha256(known.scores.tobytes())
    digest.update(b"" if known.inputs is None else known.inputs.tobytes())
    return digest.hexdigest()


def of_calibration(detector: Detector) -> Baseline:
    """Return the scores of the calibration, and how its images look.

    Raises:
        NotCalibratedError: if there are no calibration scores, or there is no line.
        StaleCalibrationError: if they are of another fit.
    """
    known = detector.require_calibrated()
    detector.require_fresh()
    return Baseline(known.scores, detector.require_threshold().value, known.inputs)


def reference_of(detector: Detector, baseline: Baseline, at: datetime) -> Reference:
    """Return what is told of a baseline that begins at a moment."""
    looks = baseline.inputs
    medians = () if looks is None else tuple(np.median(looks, axis=0).tolist())
    key = key_of(detector.require_calibrated())
    return Reference("calibration", detector.version, len(baseline.scores), at, key, medians)
