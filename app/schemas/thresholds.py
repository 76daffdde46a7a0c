"""A detector's threshold: what is there, what is asked for, and what others would cost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import ConfigDict, Field, FiniteFloat

from app.lines import Line
from app.results import Previewed
from app.schemas.base import MAX_VERSION, Body, Rate, VersionNumber
from app.storage.serving import Promote
from app.storage.version_reader import Stored
from app.storage.version_rows import summary_of
from detector.calibration import Share as DomainShare
from detector.operating_points import TARGETS, OperatingPoint
from detector.thresholds import configure

Method = Literal["conformal", "quantile", "ksigma", "chi2", "evt", "f1", "cost", "manual"]
_PARAMETERS = ("target", "delta", "k", "tail", "miss", "false_alarm", "prevalence", "value")
DEFAULT_TARGET = 0.05


class NewThreshold(Body):
    """How to draw the line; each method takes its own parameters, see docs/thresholds.md."""

    model_config = ConfigDict(strict=True)

    method: Method
    target: Rate | None = None
    """Highest false-alarm rate, as a fraction: conformal, quantile, chi2, evt."""
    delta: Rate | None = None
    """Conformal: how likely this very calibration may be one that misses the target."""
    k: FiniteFloat | None = None
    """K-sigma: how many standard deviations above the mean."""
    tail: Rate | None = None
    """Extreme values: share of the scores that the tail is fitted to."""
    miss: FiniteFloat | None = None
    """Cost: of a missed anomaly."""
    false_alarm: FiniteFloat | None = None
    """Cost: of a false alarm."""
    prevalence: Rate | None = None
    """Cost: expected share of anomalies."""
    value: FiniteFloat | None = None
    """Manual: the score above which an image is flagged."""
    by_group: bool = False
    """Whether every group of the calibration has a line of its own."""
    review_target: Rate | None = None
    """With it, images above the conformal line of this rate are uncertain: for a person to see."""

    def line(self) -> Line:
        """Return what is asked for."""
        return Line(self.method, _given(vars(self)), self.by_group, self.review_target)


@dataclass
class LineQuery:
    """The same as query parameters of a calibration."""

    method: Annotated[
        Method | None, Query(description="How the line is drawn; unset: conformal.")
    ] = None
    target: Annotated[
        Rate | None, Query(description="Highest false-alarm rate; 0.05 for conformal.")
    ] = None
    delta: Annotated[Rate | None, Query(description="Conformal: see docs/thresholds.md.")] = None
    k: Annotated[float | None, Query(allow_inf_nan=False, description="K-sigma.")] = None
    tail: Annotated[Rate | None, Query(description="Extreme values.")] = None
    miss: Annotated[float | None, Query(allow_inf_nan=False, description="Cost.")] = None
    false_alarm: Annotated[float | None, Query(allow_inf_nan=False, description="Cost.")] = None
    prevalence: Annotated[Rate | None, Query(description="Cost: share of anomalies.")] = None
    value: Annotated[float | None, Query(allow_inf_nan=False, description="Manual.")] = None
    by_group: Annotated[bool, Query(description="A line for every group.")] = False
    review_target: Annotated[
        Rate | None, Query(description="Images above the line of this rate are uncertain.")
    ] = None

    def asked(self) -> dict[str, Any]:
        """Return what is asked for, as a job keeps it.

        Raises:
            InvalidSpecError: if the method does not take these parameters.
        """
        method, parameters = self.method or "conformal", _given(vars(self))
        if method == "conformal":
            parameters.setdefault("target", DEFAULT_TARGET)
        configure(method, parameters)
        return asdict(Line(method, parameters, self.by_group, self.review_target))

    def asked_again(self) -> dict[str, Any]:
        """Return the same, or nothing if nothing is asked for: the line stays as it is wanted.

        Raises:
            InvalidSpecError: if the method does not take these parameters.
        """
        return {} if self == LineQuery() else self.asked()


@dataclass
class RedrawQuery:
    """What a new threshold builds on, and whether it goes into service."""

    base: Annotated[
        int | None,
        Query(ge=1, le=MAX_VERSION, description="Version to build on; unset: the one in service."),
    ] = None
    promote: Annotated[Promote, Query(description="Whether the new version goes into service.")] = (
        "auto"
    )
    allow_stale: Annotated[
        bool,
        Query(description="Go on though images were fitted or forgotten since the calibration."),
    ] = False


class Threshold(Body):
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

    @classmethod
    def of(cls, version: int, summary: Mapping[str, Any]) -> "Threshold":
        """Return the threshold in a version's summary."""
        return cls(
            version=version,
            **summary["threshold"],
            calibration_images=summary["calibration_images"],
            stale=summary["stale"],
        )


class DrawnThreshold(Threshold):
    """A threshold that was just drawn."""

    in_service: int
    """The version that judges: this one, unless it was kept out of service."""
    warnings: list[str]
    """What to know, as when another version was put in service meanwhile."""

    @classmethod
    def by(cls, stored: Stored) -> "DrawnThreshold":
        """Return the threshold of a version that was just made."""
        version = stored.entry.version
        return cls(
            **dict(Threshold.of(version.version, version.summary)),
            in_service=stored.entry.in_service,
            warnings=[stored.aside] if stored.aside else [],
        )


class Share(Body):
    """How many of how many, and a 95 % interval of the rate behind it (Clopper-Pearson)."""

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def of_domain(cls, share: DomainShare) -> "Share":
        """Return its form."""
        low, high = share.interval
        return cls(count=share.count, of=share.of, low=low, high=high)


class Point(Body):
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

    @classmethod
    def of(cls, point: OperatingPoint) -> "Point":
        """Return its form."""
        return cls(
            target=point.target,
            images_needed=point.images_needed,
            threshold=point.threshold,
            false_alarms_per_1000=point.false_alarms_per_1000,
            in_sample=Share.of_domain(point.in_sample) if point.in_sample else None,
            detections=Share.of_domain(point.detections) if point.detections else None,
        )


class NewPreview(Body):
    """What to try; nothing is changed by it."""

    targets: list[Rate] = Field(default=list(TARGETS), min_length=1, max_length=100)
    """False-alarm rates for the table."""
    threshold: NewThreshold | None = None
    """A threshold to try besides."""
    version: VersionNumber | None = None
    """Of the detector; unset: the one in service."""
    allow_stale: bool = False
    """Go on though images were fitted or forgotten since the calibration."""

    def asked(self) -> dict[str, Any]:
        """Return what is asked for, by argument."""
        return {
            "targets": self.targets,
            "line": self.threshold.line() if self.threshold else None,
            "version": self.version,
            "allow_stale": self.allow_stale,
        }


class Preview(Body):
    """The table of operating points, and the threshold that was to be tried."""

    detector: str
    version: int
    points: list[Point]
    proposed: Threshold | None
    in_sample: Share | None
    """Calibration images above the proposed line, each above that of its group if it has one."""
    detections: Share | None
    """Known anomalies above the proposed line; by group, above the highest: none are known."""

    @classmethod
    def of(cls, previewed: Previewed) -> "Preview":
        """Return its form."""
        proposed = previewed.proposed
        known = proposed.calibration if proposed else None
        line = proposed.threshold if proposed else None
        return cls(
            detector=previewed.stored.entry.name,
            version=previewed.stored.detector.version,
            points=[Point.of(point) for point in previewed.points],
            proposed=Threshold.of(proposed.version, summary_of(proposed)) if proposed else None,
            in_sample=Share.of_domain(known.flagged(line)) if known and line else None,
            detections=Share.of_domain(known.detected(line.value))
            if known and line and len(known.anomalies)
            else None,
        )


def _given(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: values[name] for name in _PARAMETERS if values[name] is not None}
