"""Which alarms of drift there would have been over the past."""

from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, Field

from app.past.drifting import DriftReplayed, Watched, WouldBe
from app.schemas.base import Body, VersionNumber, whole
from app.schemas.drift import AlarmInfo
from app.schemas.history import Moment
from detector.drift.shares import MONITORS

MOST_PROMISED = 10**12
PromiseImages = Annotated[int, Field(strict=True, ge=2, le=MOST_PROMISED), BeforeValidator(whole)]


class NewDriftReplay(Body):
    """What the past is compared with; what is left out is as in service."""

    version: VersionNumber | None = None
    """Whose calibration is compared with; unset: the one in service."""
    promise_images: PromiseImages | None = None
    """Images among which one false alarm is allowed; unset: the setting's."""
    since: Moment | None = None
    """Only images scored at this moment or later; monitoring begins there."""
    until: Moment | None = None
    """Only images scored before."""

    def arguments(self) -> dict[str, Any]:
        """Return what ``app.past.drifting.replay_drift`` is asked for."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class WouldBeInfo(AlarmInfo):
    """An alarm that there would have been."""

    evidence_log10: float
    threshold_log10: float

    @classmethod
    def would_be(cls, alarm: WouldBe) -> "WouldBeInfo":
        """Return its form."""
        return cls(
            **dict(AlarmInfo.of(alarm.raised)),
            evidence_log10=alarm.evidence_log10,
            threshold_log10=alarm.threshold_log10,
        )


class WatchedInfo(Body):
    """One stream of numbers as it would have been watched."""

    monitor: str
    watches: str
    threshold_log10: float
    highest_evidence_log10: float
    """How near to an alarm it came, or how far beyond."""
    alarms: int

    @classmethod
    def of(cls, name: str, watched: Watched) -> "WatchedInfo":
        """Return its form."""
        return cls(
            monitor=MONITORS[name],
            watches=name,
            threshold_log10=watched.threshold_log10,
            highest_evidence_log10=watched.highest_log10,
            alarms=watched.alarms,
        )


class DriftReplayInfo(Body):
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
    first_at: AwareDatetime | None
    last_at: AwareDatetime | None
    expected_false_alarms: float
    """Most alarms on average in as many images of no change."""
    alarm_count: int
    """Each is acknowledged at once, so that a change that lasts alarms again and again."""
    alarms: list[WouldBeInfo]
    """The first hundred, in order of time."""
    monitors: list[WatchedInfo]
    reasons: list[str]
    """What to know of it: why little may be seen, and what the promise rests on."""

    @classmethod
    def of(cls, found: DriftReplayed) -> "DriftReplayInfo":
        """Return its form."""
        told = found.told
        return cls(
            detector=told.entry.name,
            version=found.stored.detector.version,
            summary=found.summary,
            promise=told.promise,
            promise_images=round(found.promise.images),
            lag_images=round(told.thinning.every) if told.thinning else None,
            images=found.images,
            images_watched=found.images_watched,
            images_dropped=told.dropped,
            left_out=found.left_out,
            first_at=found.first_at,
            last_at=found.last_at,
            expected_false_alarms=found.expected_false_alarms,
            alarm_count=found.alarm_count,
            alarms=[WouldBeInfo.would_be(each) for each in found.alarms],
            monitors=[WatchedInfo.of(name, each) for name, each in found.streams.items()],
            reasons=found.reasons,
        )
