"""Decisions on a batch at once: which images to flag so that few of the flags are false."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from detector.conformal import require_rate
from detector.errors import InvalidSpecError

_ROUNDING = 1e-12


@dataclass(frozen=True)
class Decisions:
    """Which of a batch's images are flagged, and the rate at which each would just be."""

    flagged: Bool[np.ndarray, " b"]
    adjusted: Float[np.ndarray, " b"]


def benjamini_hochberg(p_values: Float[np.ndarray, " b"], rate: float) -> Decisions:
    """Return which p-values of a batch to flag at a false-discovery rate.

    With p_(1) <= .. <= p_(b), adjusted p_(i) is the least of b p_(j) / j over j >= i; flagged are
    those up to ``rate``. The expected share of normal images among the flagged ones is then at most
    ``rate`` times the share of normal images in the batch, if the p-values of normal images are
    valid and positively dependent (PRDS). Conformal p-values that share one calibration are, as
    Bates et al. prove for independent images. The rate is an average over calibrations.

    A p-value is at least 1 / (n + 1) with n calibration images, so an image that is odd alone in
    its batch can be flagged only if b / (n + 1) <= rate.
    Source: Benjamini & Hochberg, JRSS B 57:289-300 (1995); Bates, Candès, Lei, Romano & Sesia,
    "Testing for outliers with conformal p-values", arXiv:2104.08279.

    Raises:
        InvalidSpecError: if a p-value is not in [0, 1] or the rate not in (0, 1).
    """
    require_rate("false-discovery rate", rate)
    if not ((p_values >= 0) & (p_values <= 1)).all():
        raise InvalidSpecError("p-values must be numbers from 0 to 1")
    b = len(p_values)
    order = np.argsort(p_values)
    ascending = p_values[order] * b / np.arange(1, b + 1)
    adjusted = np.empty(b)
    adjusted[order] = np.minimum.accumulate(ascending[::-1])[::-1]
    return Decisions(adjusted <= rate * (1 + _ROUNDING), adjusted)
