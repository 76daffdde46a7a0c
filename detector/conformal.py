"""Split-conformal threshold: from held-out normal scores to a bound on false alarms.

Let s_1..s_n be the scores of normal calibration images, s of a new one, alpha in (0, 1)::

    k = ceil((n + 1)(1 - alpha))                threshold = k-th smallest s_i
    p = (1 + #{i: s_i >= s}) / (n + 1)          p-value of a new score

An image is flagged when s > threshold, which is the same as p <= alpha. If the new normal image is
exchangeable with the calibration images, P(flagged) <= alpha, over the draw of both.

That is an average over calibrations, and one of them may be unlucky. With ``delta`` the promise is
about the calibration at hand. For independent images without ties the share R of new normal images
above s_(k) has the law of 1 - U_(k), with U_(k) the k-th smallest of n uniforms::

    R ~ Beta(n + 1 - k, k)          P(R > alpha) = P(Binomial(n, alpha) <= n - k)

for 1 - U_(k) > alpha means that at most n - k of the uniforms are at least 1 - alpha. The threshold
is s_(k) with the smallest k for which this is at most delta; ties only make R smaller. It exists
from n >= log(delta) / log(1 - alpha) on.
Scores are dimensionless; higher is more anomalous.

Source: Angelopoulos & Bates, "A Gentle Introduction to Conformal Prediction", arXiv:2107.07511,
section 1 (the quantile); Bates, Candès, Lei, Romano & Sesia, "Testing for outliers with conformal
p-values", arXiv:2104.08279 (the marginal p-value); Vovk, "Conditional validity of inductive
conformal predictors", arXiv:1209.2673 (training-conditional validity).
Ours: k > n is refused, with the number of images that would do, so that no promise is empty.
"""

import math

import numpy as np
from jaxtyping import Float
from scipy.special import bdtr

from detector.errors import InsufficientCalibrationError, InvalidSpecError

_ROUNDING = 1e-9
_LEAST_RATE = 1e-300
"""Below it the number of images that would do is not a float."""


def require_rate(name: str, rate: float) -> None:
    """Refuse what is not a rate strictly between 0 and 1.

    Raises:
        InvalidSpecError: then; nan is refused, too.
    """
    if not _LEAST_RATE <= rate < 1:
        raise InvalidSpecError(f"the {name} must lie between 0 and 1, got {rate}")


def least_images(alpha: float, delta: float | None = None) -> int:
    """Return the smallest n for which alpha can be promised, at least 1.

    ceil(1 / alpha) - 1 on average, ceil(log(delta) / log(1 - alpha)) with probability 1 - delta.
    """
    if delta is None:
        return max(math.ceil(1 / alpha - _ROUNDING) - 1, 1)
    return max(math.ceil(math.log(delta) / math.log1p(-alpha) - _ROUNDING), 1)


def rank(n: int, alpha: float, delta: float | None = None) -> int:
    """Return k, 1-based, for n calibration scores.

    Raises:
        InvalidSpecError: if alpha or delta is not in (0, 1).
        InsufficientCalibrationError: if n scores cannot support alpha.
    """
    require_rate("target false-alarm rate", alpha)
    if delta is not None:
        require_rate("chance delta that the promise fails", delta)
    if n < least_images(alpha, delta):
        raise InsufficientCalibrationError(_refusal(n, alpha, delta))
    if delta is None:
        # n + 1 - floor(alpha (n + 1)), guarded against 0.29 * 100 = 28.999...
        return max(n + 1 - math.floor(alpha * (n + 1) + _ROUNDING), 1)
    at_most = bdtr(np.arange(n), n, alpha)  # P(Binomial <= n - k) by n - k
    above = int(np.searchsorted(at_most, delta * (1 + _ROUNDING), side="right")) - 1
    return n - max(above, 0)


def threshold(scores: Float[np.ndarray, " n"], alpha: float, delta: float | None = None) -> float:
    """Return the threshold for calibration scores, in any order.

    Raises:
        InvalidSpecError: if alpha or delta is not in (0, 1).
        InsufficientCalibrationError: if there are too few scores for alpha.
    """
    return float(np.sort(scores)[rank(len(scores), alpha, delta) - 1])


def expected_rate(n: int, k: int) -> float:
    """Return the rate at which new normal images lie above the k-th smallest of n, on average.

    It is the mean of Beta(n + 1 - k, k), an upper bound where scores tie.
    """
    return (n + 1 - k) / (n + 1)


def p_values(
    scores: Float[np.ndarray, " n"], calibration: Float[np.ndarray, " m"]
) -> Float[np.ndarray, " n"]:
    """Return the conformal p-value of each score against sorted calibration scores."""
    at_least = len(calibration) - np.searchsorted(calibration, scores, side="left")
    return (1 + at_least) / (len(calibration) + 1)


def statement(n: int, alpha: float, delta: float | None = None) -> str:
    """Return what the threshold promises, in words a person can check."""
    if delta is None:
        return (
            f"Of new normal images like the {n} calibration images, at most {100 * alpha:g} % are "
            f"flagged on average (split conformal, finite-sample, assumes exchangeability)."
        )
    return (
        f"With probability at least {1 - delta:g} over the draw of the {n} calibration images, at "
        f"most {100 * alpha:g} % of new normal images like them are flagged (split conformal, "
        f"conditional on the calibration, finite-sample, assumes independent images)."
    )


def _refusal(n: int, alpha: float, delta: float | None) -> str:
    """Return why n scores are too few, how many would do, and what they can support."""
    sure = "" if delta is None else f" with probability {1 - delta:g}"
    if delta is None:
        supported = f"1/{n + 1}"
    else:
        least = -math.expm1(math.log(delta) / n) if n else 1.0
        supported = f"{min(least * (1 + 1e-5), 1):.6g}"  # never rounded below what is accepted
    return (
        f"a false-alarm rate of {alpha:g}{sure} needs at least {least_images(alpha, delta)} "
        f"calibration images, there are {n}; the smallest rate {n} can support is {supported}"
    )
