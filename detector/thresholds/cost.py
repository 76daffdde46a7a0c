"""The threshold ``cost``: the least expected cost."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from detector.calibration import Calibration
from detector.conformal import require_rate
from detector.errors import InvalidSpecError
from detector.thresholds.base import Method
from detector.thresholds.labelled import Cuts, counted, cuts


@dataclass(frozen=True)
class LeastCost(Method):
    """The line of the least expected cost of an image.

    With D of A anomalies and F of n normal images above the line it is::

        prevalence x miss x (A - D) / A + (1 - prevalence) x false_alarm x F / n

    Of lines that cost the same, the one with the fewest false alarms. ``prevalence`` is the share
    of anomalies expected on the line, not among the images given. Costs have any one unit.

    Raises:
        InvalidSpecError: if a cost is not positive or the prevalence not in (0, 1).
    """

    miss: float
    false_alarm: float
    prevalence: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("miss", "false_alarm"):
            if getattr(self, name) <= 0:
                raise InvalidSpecError(f"{name} must be a positive cost, got {getattr(self, name)}")
        require_rate("prevalence of anomalies", self.prevalence)

    def line(self, calibration: Calibration) -> float:
        """Return the line midway between the scores it parts."""
        found = cuts(calibration, "cost")
        cost = self._of(found, calibration)
        return float(found.lines[np.argmin(cost)])

    def statement(self, calibration: Calibration, line: float) -> str:
        """Return what was counted and what it would cost."""
        least = float(self._of(cuts(calibration, "cost"), calibration).min())
        unit = max(self.miss, self.false_alarm)
        return (
            f"The least expected cost at {100 * self.prevalence:.4g} % anomalies, "
            f"{1000 * least * unit:.4g} per 1,000 images. No promise: "
            f"{counted(calibration, line)}."
        )

    def _of(self, found: Cuts, calibration: Calibration) -> Float[np.ndarray, " c"]:
        """Return the expected cost at each line, in units of the higher cost: no overflow."""
        unit = max(self.miss, self.false_alarm)
        missed = 1 - found.detections / len(calibration.anomalies)
        alarmed = found.false_alarms / len(calibration)
        costs: np.ndarray = (
            self.prevalence * (self.miss / unit) * missed
            + (1 - self.prevalence) * (self.false_alarm / unit) * alarmed
        )
        return costs
