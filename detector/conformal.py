"""Split-conformal threshold: from held-out normal scores to a bound on false alarms.

Let s_1..s_n be the scores of normal calibration images, s of a new one, alpha in (0, 1)::

    k = ceil((n + 1)(1 - alpha))                threshold = k-th smallest s_i
    p = (1 + #{i: s_i >= s}) / (n + 1)          p-value of a new score

An image is flagged when s > threshold, which is the same as p <= alpha. If the new normal image is
exchangeable with the calibration images, P(flagged) <= alpha, over the draw of both.
Scores are dimensionless; higher is more anomalous.

Source: Angelopoulos & Bates, "A Gentle Introduction to Conformal Prediction", arXiv:2107.07511,
section 1 (the quantile); Bates, Candès, Lei, Romano & Sesia, "Testing for outliers with conformal
p-values", arXiv:2104.08279 (the marginal p-value).
Ours: k > n is refused, with the number of images that would do, so that no promise is empty.
"""

import math

import numpy as np
from jaxtyping import Float

from detector.errors import InsufficientCalibrationError, InvalidSpecError

_ROUNDING = 1e-9


def least_images(alpha: float) -> int:
    """Return the smallest n for which alpha can be promised: ceil(1 / alpha) - 1, at least 1."""
    return max(math.ceil(1 / alpha - _ROUNDING) - 1, 1)


def rank(n: int, alpha: float) -> int:
    """Return k, 1-based, for n calibration scores.

    Raises:
        InvalidSpecError: if alpha is not in (0, 1).
        InsufficientCalibrationError: if n scores cannot support alpha.
    """
    if not 0 < alpha < 1 or math.isinf(1 / alpha):
        raise InvalidSpecError(f"the target false-alarm rate must lie between 0 and 1, got {alpha}")
    if n < least_images(alpha):
        raise InsufficientCalibrationError(
            f"a false-alarm rate of {alpha:g} needs at least {least_images(alpha)} calibration "
            f"images, there are {n}; the smallest rate {n} can support is 1/{n + 1}"
        )
    # n + 1 - floor(alpha (n + 1)), guarded against 0.29 * 100 = 28.999...
    return max(n + 1 - math.floor(alpha * (n + 1) + _ROUNDING), 1)


def threshold(scores: Float[np.ndarray, " n"], alpha: float) -> float:
    """Return the threshold for calibration scores, in any order.

    Raises:
        InvalidSpecError: if alpha is not in (0, 1).
        InsufficientCalibrationError: if there are too few scores for alpha.
    """
    return float(np.sort(scores)[rank(len(scores), alpha) - 1])


def p_values(
    scores: Float[np.ndarray, " n"], calibration: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " n"]:
    """Return the conformal p-value of each score against sorted calibration scores."""
    at_least = len(calibration) - np.searchsorted(calibration, scores, side="left")
    return (1 + at_least) / (len(calibration) + 1)


def statement(n: int, alpha: float) -> str:
    """Return what the threshold promises, in words a person can check."""
    return (
        f"Of new normal images like the {n} calibration images, at most {100 * alpha:g} % are "
        f"flagged on average (split conformal, finite-sample, assumes exchangeability)."
    )
