"""Traffic for tests of drift, and baselines of it."""

import numpy as np

from detector.drift.autocorrelation import Thinning
from detector.drift.promise import Promise
from detector.drift.state import Baseline, DriftState


def line_of(scores: np.ndarray, above: float = 0.01) -> float:
    """Return a line that leaves this share of scores above it."""
    return float(np.quantile(scores, 1 - above))


def skewed(seed: int, images: int) -> np.ndarray:
    """Return scores like those of a detector: positive, with a long upper tail."""
    return np.random.default_rng(seed).gamma(4, size=images)


def begun(
    seed: int, calibration: int = 200, images: float = 1000.0, inputs: bool = False
) -> DriftState:
    """Return a state that has seen nothing, calibrated with skewed scores."""
    scores = skewed(seed, calibration)
    seen = np.random.default_rng(seed).normal(size=(calibration, 3)) if inputs else None
    return DriftState(
        Baseline(scores, line_of(scores), seen), Promise(images), Thinning(), seed=seed
    )
