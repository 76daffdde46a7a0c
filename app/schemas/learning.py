"""What a fit, a forgetting or a calibration did."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from app.problems import Problem
from app.results import Groups, Learned, Rejected
from app.schemas.base import Body, GroupName
from app.schemas.detectors import DetectorInfo
from app.schemas.thresholds import Share, Threshold
from detector.groups import GroupReport as DomainReport


def _some_of(*names: str) -> dict[str, Any]:
    """Return what says in a schema that one of these lists holds something."""
    return {"anyOf": [{"required": [n], "properties": {n: {"minItems": 1}}} for n in names]}


class NewForgetting(Body):
    """Which fitted images are to be forgotten: all of these digests and groups."""

    model_config = ConfigDict(json_schema_extra=_some_of("sha256", "groups"))

    sha256: list[Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]] = Field(
        default=[], max_length=20_000
    )
    """SHA-256 of the files that were sent, in hexadecimal."""
    groups: list[Annotated[GroupName, StringConstraints(min_length=1)]] = Field(
        default=[], max_length=1000
    )

    @model_validator(mode="after")
    def _some(self) -> "NewForgetting":
        if not self.sha256 and not self.groups:
            raise ValueError("name the images to forget, by sha256 or by groups")
        return self

    def asked(self) -> dict[str, Any]:
        """Return what is asked for, as a job keeps it."""
        return {"sha256": self.sha256, "groups": self.groups}


class RejectedImage(Body):
    """An image that was left out, and why."""

    name: str
    problem: Problem

    @classmethod
    def of(cls, rejected: Rejected) -> "RejectedImage":
        """Return its form."""
        return cls(name=rejected.name, problem=Problem.model_validate(rejected.problem))


class Fitted(Body):
    """What a fit did."""

    detector: DetectorInfo
    """At the version that was made."""
    fitted: int
    """Images used by this job."""
    warnings: list[str]
    """What to know, as when the version does not serve."""
    rejected: list[RejectedImage]

    @classmethod
    def of(cls, learned: Learned) -> "Fitted":
        """Return its form."""
        return cls(
            detector=DetectorInfo.of(learned.stored.entry),
            fitted=learned.used,
            warnings=_warnings(learned),
            rejected=[RejectedImage.of(item) for item in learned.rejected],
        )


class Forgotten(Body):
    """What a forgetting did."""

    detector: DetectorInfo
    """At the version that was made."""
    forgotten: int
    """Images that the version has never seen, now."""
    warnings: list[str]
    """What to know, as when the version does not serve."""

    @classmethod
    def of(cls, learned: Learned) -> "Forgotten":
        """Return its form."""
        return cls(
            detector=DetectorInfo.of(learned.stored.entry),
            forgotten=learned.used,
            warnings=_warnings(learned),
        )


class LeftOutGroup(Body):
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


class GroupReport(Body):
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

    @classmethod
    def of(cls, report: DomainReport, refitted: bool) -> "GroupReport":
        """Return its form."""
        low, high = report.interval
        return cls(
            target=report.target,
            refitted=refitted,
            in_sample=Share.of_domain(report.in_sample),
            held_out=Share.of_domain(report.held_out),
            low=low,
            high=high,
            groups=[
                LeftOutGroup(
                    group=each.group,
                    threshold=each.threshold,
                    in_sample=Share.of_domain(each.in_sample),
                    held_out=Share.of_domain(each.held_out),
                    p_value=each.p_value,
                )
                for each in report.groups
            ],
        )


class Calibrated(Body):
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

    @classmethod
    def of(cls, learned: Learned) -> "Calibrated":
        """Return its form."""
        version = learned.stored.entry.version
        groups = learned.groups or Groups(None, False, None)
        return cls(
            detector=DetectorInfo.of(learned.stored.entry),
            calibrated=learned.used,
            threshold=Threshold.of(version.version, version.summary),
            groups=GroupReport.of(groups.report, groups.refitted) if groups.report else None,
            warnings=[*_warnings(learned), *([groups.warning] if groups.warning else [])],
            rejected=[RejectedImage.of(item) for item in learned.rejected],
        )


def _warnings(learned: Learned) -> list[str]:
    return [*filter(None, [learned.stored.aside]), *learned.warnings]
