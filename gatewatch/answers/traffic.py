"""All detectors at a glance: what they have scored lately."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class TrafficBucket:
    """One of the equal parts of the time."""

    images: int
    flagged: int


@dataclass(frozen=True, kw_only=True)
class DetectorTraffic:
    """What a detector has scored lately, and what is to be done about it."""

    detector: str
    images: int
    """Scored in this time."""
    flagged: int
    """Of them anomalous."""
    uncertain: int
    """Of them in the review band."""
    last_at: datetime | None
    """When the last image was scored that is kept, however long ago; none if none is."""
    to_review: int
    """Images kept that were flagged, or nearly, and that nobody has reviewed yet."""
    drift: str | None
    """The state of ``drift``, up to a second ago; none where that has nothing to compare with."""
    buckets: list[TrafficBucket]
    """The time in 24 equal parts, oldest first."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """All detectors, by name."""

    since: datetime
    """Images scored at this moment or later are counted."""
    until: datetime
    """Those scored before."""
    detectors: list[DetectorTraffic]
