"""The threshold ``quantile``: the plain quantile of the calibration scores."""

import math
from dataclasses import dataclass

from detector import conformal
from detector.calibration import Calibration
from detector.thresholds.base import Groupwise, percent, require_images

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Quantile(Groupwise):
    """At most ``target`` of the calibration images themselves lie above the line.

    With n scores in ascending order the line is s_(k), k = ceil(n (1 - target)); what others call
    the inverted empirical distribution function. New images like them are flagged at the rate
    (n + 1 - k) / (n + 1) on average, which can be more than the target: that is why this is no
    promise, and why ``conformal`` has n + 1 in place of n. Below 1 / target images no image would
    lie above, whatever the target, so they are refused.
    """

    @property
    def least_images(self) -> int:
        """How many images are needed for one of them to lie above the line: ceil(1 / target)."""
        return math.ceil(1 / self.target - _ROUNDING)

    def line(self, calibration: Calibration) -> float:
        """Return the quantile."""
        require_images(calibration, self.least_images, f"the quantile for {self.target:g}")
        return float(calibration.ascending[self._rank(len(calibration)) - 1])

    def _rank(self, n: int) -> int:
        return max(n - math.floor(self.target * n + _ROUNDING), 1)

    def statement(self, calibration: Calibration, line: float) -> str:
        """Return what was counted and what follows."""
        n = len(calibration)
        expected = conformal.expected_rate(n, self._rank(n))
        return (
            f"{calibration.above(line)} calibration images lie above it, at most "
            f"{percent(self.target)} as asked. No promise for new images: of normal ones like "
            f"these up to {percent(expected)} are expected to be flagged."
        )

    @property
    def group_statement(self) -> str:
        """What was counted within a group."""
        return (
            f"In each group at most {percent(self.target)} of its own calibration images lie above "
            f"its line; no promise for new images."
        )
