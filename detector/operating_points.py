"""What each false-alarm rate would cost and bring: the table to choose a target from."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector import conformal
from detector.calibration import Calibration, Share

TARGETS = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """The conformal threshold of one target, and what it would do.

    Attributes:
        target: highest false-alarm rate, on average.
        images_needed: how many calibration images the target needs.
        threshold: the line; None, as is all that follows, if there are fewer.
        false_alarms_per_1000: flagged of 1,000 new normal images, on average; fewer if scores tie.
        in_sample: calibration images above the line, which is drawn through them.
        detections: known anomalies above it; their interval holds for independent anomalies like
            these. None if none are known.
    """

    target: float
    images_needed: int
    threshold: float | None = None
    false_alarms_per_1000: float | None = None
    in_sample: Share | None = None
    detections: Share | None = None

    @property
    def supported(self) -> bool:
        """Whether there are enough calibration images."""
        return self.threshold is not None


def table(calibration: Calibration, targets: Sequence[float] = TARGETS) -> list[OperatingPoint]:
    """Return the operating points of some targets, in the order given.

    Raises:
        InvalidSpecError: if a target is not in (0, 1).
    """
    return [_point(calibration, target) for target in targets]


def _point(calibration: Calibration, target: float) -> OperatingPoint:
    conformal.require_rate("target false-alarm rate", target)
    n, needed = len(calibration), conformal.least_images(target)
    if n < needed:
        return OperatingPoint(target, needed)
    k = conformal.rank(n, target)
    line = float(calibration.ascending[k - 1])
    return OperatingPoint(
        target,
        needed,
        line,
        1000 * conformal.expected_rate(n, k),
        calibration.above(line),
        calibration.detected(line) if len(calibration.anomalies) else None,
    )
