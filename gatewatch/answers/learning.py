"""What a fit, a forgetting or a calibration did."""

from dataclasses import dataclass

from gatewatch.answers.detectors import DetectorInfo
from gatewatch.answers.problem import Problem
from gatewatch.answers.thresholds import Share, Threshold


@dataclass(frozen=True, kw_only=True)
class RejectedImage:
    """An image that was left out, and why."""

    name: str
    problem: Problem


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """What a fit did."""

    detector: DetectorInfo
    """At the version that was made."""
    fitted: int
    """Images used by this job."""
    warnings: list[str]
    """What to know, as when the version does not serve."""
    rejected: list[RejectedImage]


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What a forgetting did."""

    detector: DetectorInfo
    """At the version that was made."""
    forgotten: int
    """Images that the version has never seen, now."""
    warnings: list[str]
    """What to know, as when the version does not serve."""


@dataclass(frozen=True, kw_only=True)
class LeftOutGroup:
    """A group judged as if it were new."""

    group: str
    threshold: float
    """Chosen without it."""
    in_sample: Share
    """Its images above the line that is chosen with it."""
    held_out: Share
    """Its images above the line that is chosen without it."""
    p_value: float
    """Chance of that many, if the group is like the others."""


@dataclass(frozen=True, kw_only=True)
class GroupReport:
    """False alarms when each group in turn is left out, beside the in-sample ones."""

    target: float
    refitted: bool
    """Whether each group was left out of the fit too; else of the choice of the line alone."""
    in_sample: Share
    held_out: Share
    low: float
    high: float
    """95 % interval of the held-out rate."""
    groups: list[LeftOutGroup]


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What a calibration did."""

    detector: DetectorInfo
    """At the version that was made."""
    calibrated: int
    """Images used by this job."""
    threshold: Threshold
    groups: GroupReport | None
    """None if no images have groups, or too few."""
    warnings: list[str]
    """What to know before trusting the threshold."""
    rejected: list[RejectedImage]
