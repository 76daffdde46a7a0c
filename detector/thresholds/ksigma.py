"""The threshold ``ksigma``: so many standard deviations above the mean."""

from dataclasses import dataclass

from detector.calibration import Calibration
from detector.errors import InvalidSpecError
from detector.thresholds.base import Method, require_images
from detector.thresholds.spread import mean_and_deviation


@dataclass(frozen=True)
class KSigma(Method):
    """Mean + k standard deviations (n - 1) of the calibration scores.

    The customary 0.13 % above 3 sigma is a property of the normal distribution, which scores do
    not have: what lies above is counted, never derived from k.

    Raises:
        InvalidSpecError: if k is negative.
    """

    k: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k < 0:
            raise InvalidSpecError(f"k must be 0 or more, got {self.k:g}")

    def line(self, calibration: Calibration) -> float:
        """Return mean + k sigma."""
        require_images(calibration, 2, "a standard deviation")
        mean, deviation = mean_and_deviation(calibration.ascending)
        return mean + self.k * deviation

    def statement(self, calibration: Calibration, line: float) -> str:
        """Return what was counted."""
        return (
            f"Mean and {self.k:g} standard deviations of the scores of the calibration images; "
            f"{calibration.above(line)} of them lie above it. No promise: how many new normal "
            f"images do depends on the shape of the scores, not on k alone."
        )
