"""What a fit or a calibration did."""

from app import problems
from app.problems import Problem
from app.results import Learned, Rejected
from app.schemas.base import Body
from app.schemas.detectors import DetectorInfo, Threshold


class RejectedImage(Body):
    """An image that was left out, and why."""

    name: str
    problem: Problem

    @classmethod
    def of(cls, rejected: Rejected) -> "RejectedImage":
        """Return its form."""
        return cls(name=rejected.name, problem=problems.of(rejected.error))


class Fitted(Body):
    """What a fit did."""

    detector: DetectorInfo
    fitted: int
    """Images used by this call."""
    rejected: list[RejectedImage]

    @classmethod
    def of(cls, learned: Learned) -> "Fitted":
        """Return its form."""
        return cls(
            detector=DetectorInfo.of(learned.stored),
            fitted=learned.used,
            rejected=[RejectedImage.of(item) for item in learned.rejected],
        )


class Calibrated(Body):
    """What a calibration did."""

    detector: DetectorInfo
    calibrated: int
    """Images used by this call."""
    threshold: Threshold
    rejected: list[RejectedImage]

    @classmethod
    def of(cls, learned: Learned) -> "Calibrated":
        """Return its form."""
        return cls(
            detector=DetectorInfo.of(learned.stored),
            calibrated=learned.used,
            threshold=Threshold.of(learned.stored.detector),
            rejected=[RejectedImage.of(item) for item in learned.rejected],
        )
