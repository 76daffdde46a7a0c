"""The threshold ``manual``: set by hand."""

from dataclasses import dataclass

from detector.calibration import Calibration
from detector.thresholds.base import Method


@dataclass(frozen=True)
class Manual(Method):
    """A line that a person drew; it needs no calibration images, and promises nothing."""

    value: float

    def line(self, calibration: Calibration) -> float:
        """Return the line as it was given."""
        return self.value

    def statement(self, calibration: Calibration, line: float) -> str:
        """Return what was counted."""
        above = "unknown: there are no calibration images"
        if len(calibration):
            above = f"{calibration.above(line)} calibration images"
        return f"Set by hand; no promise. Above it: {above}."
