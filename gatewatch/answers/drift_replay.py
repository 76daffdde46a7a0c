"""Which alarms of drift there would have been over the past."""

from dataclasses import dataclass
from datetime import datetime

from gatewatch.answers.drift import AlarmInfo


@dataclass(frozen=True, kw_only=True)
class WouldBeInfo(AlarmInfo):
    """An alarm that there would have been."""

    evidence_log10: float
    threshold_log10: float


@dataclass(frozen=True, kw_only=True)
class WatchedInfo:
    """One stream of numbers as it would have been watched."""

    monitor: str
    watches: str
    threshold_log10: float
    highest_evidence_log10: float
    """How near to an alarm it came, or how far beyond."""
    alarms: int


@dataclass(frozen=True, kw_only=True)
class DriftReplayInfo:
    """What monitoring would have said of the past; nothing was changed."""

    detector: str
    version: int
    """Whose calibration was compared with."""
    summary: str
    promise: str | None
    promise_images: int
    lag_images: int | None
    """One image in so many is watched."""
    images: int
    images_watched: int
    images_dropped: int
    """Of which a number that is watched is not known."""
    left_out: int
    """Images that were not seen, for another backbone saw them."""
    first_at: datetime | None
    last_at: datetime | None
    expected_false_alarms: float
    """Most alarms on average in as many images of no change."""
    alarm_count: int
    """Each is acknowledged at once, so that a change that lasts alarms again and again."""
    alarms: list[WouldBeInfo]
    """The first hundred, in order of time."""
    monitors: list[WatchedInfo]
    reasons: list[str]
    """What to know of it: why little may be seen, and what the promise rests on."""
