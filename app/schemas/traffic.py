"""All detectors at a glance, for a page of many."""

from dataclasses import asdict

from pydantic import AwareDatetime

from app.drift_telemetry import State
from app.past.traffic import Glance, Glances
from app.schemas.base import Body


class TrafficBucket(Body):
    """One of the equal parts of the time."""

    images: int
    flagged: int


class DetectorTraffic(Body):
    """What a detector has scored lately, and what is to be done about it."""

    detector: str
    images: int
    """Scored in this time."""
    flagged: int
    """Of them anomalous."""
    uncertain: int
    """Of them in the review band."""
    last_at: AwareDatetime | None
    """When the last image was scored that is kept, however long ago; none if none is."""
    to_review: int
    """Images kept that were flagged, or nearly, and that nobody has reviewed yet."""
    drift: State | None
    """The state that GET /v1/detectors/{name}/drift gives, up to a second ago; none where that has
    nothing to compare with, for the calibration is missing or stale."""
    buckets: list[TrafficBucket]
    """The time in 24 equal parts, oldest first."""

    @classmethod
    def of(cls, glance: Glance) -> "DetectorTraffic":
        """Return its form."""
        counted = glance.traffic
        return cls(
            detector=glance.detector,
            images=counted.images,
            flagged=counted.flagged,
            uncertain=counted.uncertain,
            last_at=counted.last_at,
            to_review=glance.to_review,
            drift=glance.drift,
            buckets=[TrafficBucket(**asdict(part)) for part in counted.parts],
        )


class Traffic(Body):
    """All detectors, by name."""

    since: AwareDatetime
    """Images scored at this moment or later are counted."""
    until: AwareDatetime
    """Those scored before."""
    detectors: list[DetectorTraffic]

    @classmethod
    def of(cls, glances: Glances) -> "Traffic":
        """Return its form."""
        return cls(
            since=glances.since,
            until=glances.until,
            detectors=[DetectorTraffic.of(each) for each in glances.detectors],
        )
