"""How a calibration has scored, for a picture of it."""

from app.results import CalibrationHistogram
from app.schemas.base import Body


class CalibrationScores(Body):
    """The scores that a threshold is chosen from, counted in bins of equal width.

    A bin holds its lower edge, the last one its upper edge too.
    """

    detector: str
    version: int
    edges: list[float]
    """Ascending, one more than there are bins; all scores and the threshold lie between them."""
    normal: list[int]
    """Calibration images in each bin."""
    anomalous: list[int]
    """Known anomalies in each bin."""
    normal_images: int
    anomalous_images: int
    threshold: float | None
    """None if no line was drawn."""

    @classmethod
    def of(cls, counted: CalibrationHistogram) -> "CalibrationScores":
        """Return its form."""
        detector, found = counted.stored.detector, counted.histogram
        known = detector.require_calibrated()
        return cls(
            detector=counted.stored.entry.name,
            version=detector.version,
            edges=found.edges.tolist(),
            normal=found.normal.tolist(),
            anomalous=found.anomalous.tolist(),
            normal_images=len(known),
            anomalous_images=len(known.anomalies),
            threshold=detector.threshold.value if detector.threshold else None,
        )
