"""A detector's threshold: what is there, what is asked for, and what others would cost."""

from dataclasses import dataclass
from typing import Literal

Method = Literal["conformal", "quantile", "ksigma", "chi2", "evt", "f1", "cost", "manual"]


@dataclass(frozen=True, kw_only=True)
class NewThreshold:
    """How to draw the line; each method takes its own parameters, see docs/thresholds.md."""

    method: Method
    target: float | None = None
    """Highest false-alarm rate, as a fraction: conformal, quantile, chi2, evt."""
    delta: float | None = None
    """Conformal: how likely this very calibration may be one that misses the target."""
    k: float | None = None
    """K-sigma: how many standard deviations above the mean."""
    tail: float | None = None
    """Extreme values: share of the scores that the tail is fitted to."""
    miss: float | None = None
    """Cost: of a missed anomaly."""
    false_alarm: float | None = None
    """Cost: of a false alarm."""
    prevalence: float | None = None
    """Cost: expected share of anomalies."""
    value: float | None = None
    """Manual: the score above which an image is flagged."""
    by_group: bool = False
    """Whether every group of the calibration has a line of its own."""
    review_target: float | None = None
    """With it, images above the conformal line of this rate are uncertain: for a person to see."""


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Where the line is drawn, and what is promised about it."""

    version: int
    """Of the detector."""
    value: float
    method: str
    target: float | None
    parameters: dict[str, float]
    statement: str
    by_group: dict[str, float]
    """A group's own line, if it has one."""
    review: float | None
    """Where the uncertain band begins, if there is one."""
    review_target: float | None = None
    """The rate that it was drawn for."""
    calibration_images: int
    stale: bool
    """Whether images were fitted or forgotten since: then the statement does not hold."""


@dataclass(frozen=True, kw_only=True)
class DrawnThreshold(Threshold):
    """A threshold that was just drawn."""

    in_service: int
    """The version that judges: this one, unless it was kept out of service."""
    warnings: list[str]
    """What to know, as when another version was put in service meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of how many, and a 95 % interval of the rate behind it (Clopper-Pearson)."""

    count: int
    of: int
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a target would give, by the conformal threshold."""

    target: float
    images_needed: int
    """Calibration images that this target needs."""
    threshold: float | None
    """None, as is what follows, if the calibration has fewer."""
    false_alarms_per_1000: float | None
    """Expected of new normal images, at most."""
    in_sample: Share | None
    """Calibration images above the line."""
    detections: Share | None
    """Known anomalies above it; None if none are known."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The table of operating points, and the threshold that was to be tried."""

    detector: str
    version: int
    points: list[Point]
    proposed: Threshold | None
    in_sample: Share | None
    """Calibration images above the proposed line, each above that of its group if it has one."""
    detections: Share | None
    """Known anomalies above the proposed line; by group, above the highest: none are known."""


@dataclass(frozen=True, kw_only=True)
class CalibrationScores:
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
