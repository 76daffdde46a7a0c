"""Thresholds as they are asked for: a method and its parameters; a calibration gives the line."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from detector.detector import Detector
from detector.verdict import Threshold


@dataclass(frozen=True, slots=True)
class Line:
    """The threshold that is wanted; see ``detector.thresholds``."""

    method: str = "conformal"
    parameters: Mapping[str, float] = field(default_factory=lambda: {"target": 0.05})
    by_group: bool = False
    review_target: float | None = None

    @classmethod
    def of(cls, threshold: Threshold) -> "Line":
        """Return how a threshold was asked for."""
        return cls(
            threshold.method,
            threshold.parameters,
            bool(threshold.by_group),
            threshold.review_target,
        )


def decided(detector: Detector, line: Line, *, allow_stale: bool = False) -> Detector:
    """Return the detector with this threshold. Raises as ``Detector.decide``."""
    return detector.decide(
        line.method,
        line.parameters,
        by_group=line.by_group,
        review_target=line.review_target,
        allow_stale=allow_stale,
    )
