"""Drift: how the monitors of a detector stand, and what a person may do about it."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from app.drift_telemetry import Alarm, State
from app.monitoring.monitor import LEAST_IMAGES, RECENT_IMAGES
from app.monitoring.notes import Raised, Reference
from app.monitoring.telling import Stream, Told
from app.schemas.base import Body, whole
from app.schemas.drift_window import WindowInfo
from detector.drift.state import MONITORS

ImageCount = Annotated[
    int, Field(strict=True, ge=LEAST_IMAGES, le=RECENT_IMAGES), BeforeValidator(whole)
]


class Acknowledgement(Body):
    """Whose alarms were seen."""

    monitor: Alarm | None = None
    """Unset: all monitors'."""


class NewBaseline(Body):
    """What the traffic shall be compared with."""

    images: ImageCount = 500
    """How many of the last scored images, of the version in service."""


class AlarmInfo(Body):
    """One alarm."""

    monitor: str
    watches: str
    """What of an image raised it."""
    image_number: int
    """Of the image that did, counted from 0 since the detector is watched; of a window its last."""
    image: str
    """Its id, for GET /v1/images/{id}."""
    at: AwareDatetime

    @classmethod
    def of(cls, raised: Raised) -> "AlarmInfo":
        """Return its form."""
        return cls(
            monitor=MONITORS[raised.stream],
            watches=raised.stream,
            image_number=raised.image,
            image=raised.id,
            at=raised.at,
        )


class MonitorInfo(Body):
    """One stream of numbers that is watched."""

    monitor: str
    """bulk: scores of images that are not flagged, among all since the baseline; rate: the share
    of the highest scores; frozen: bulk against the baseline alone; input: how images look."""
    watches: str
    """The stream: of input one for brightness, contrast and sharpness each."""
    evidence_log10: float
    """That it has changed, since the baseline or the last acknowledged alarm; 0 is none."""
    threshold_log10: float
    """At which it is an alarm."""
    since_baseline_log10: float
    """What bets against no change have won since the baseline; above 2, one in 100 do by chance."""
    alarms: int
    """Since the detector is watched."""
    latched: AlarmInfo | None
    """The alarm that nobody has acknowledged."""

    @classmethod
    def of(cls, stream: Stream) -> "MonitorInfo":
        """Return its form."""
        return cls(
            monitor=stream.monitor,
            watches=stream.watches,
            evidence_log10=stream.evidence_log10,
            threshold_log10=stream.threshold_log10,
            since_baseline_log10=stream.since_baseline_log10,
            alarms=stream.alarms,
            latched=AlarmInfo.of(stream.latched) if stream.latched else None,
        )


class BaselineInfo(Body):
    """What the traffic is compared with."""

    of: Literal["calibration", "traffic"]
    version: int
    """In service when it became the baseline."""
    images: int
    since: AwareDatetime

    @classmethod
    def from_reference(cls, known: Reference) -> "BaselineInfo":
        """Return its form."""
        return cls(of=known.of, version=known.version, images=known.images, since=known.at)


class DriftInfo(Body):
    """Whether a detector's traffic has changed."""

    detector: str
    in_service: int
    state: State
    """warming_up: a change may not be seen yet; alarm: until it is acknowledged."""
    summary: str
    reasons: list[str]
    """What to know of it: why it is not watched or warms up, and what the promise rests on."""
    promise: str | None
    """On false alarms; none if the traffic is not watched."""
    promise_images: int | None
    baseline: BaselineInfo | None
    lag_images: int | None
    """One image in so many is watched."""
    images: int
    """Seen since the detector is watched."""
    images_dropped: int
    """That came too fast to be seen."""
    monitors: list[MonitorInfo]
    alarms: list[AlarmInfo]
    """The last ones, newest first."""
    window: WindowInfo | None
    """Of the test of whole windows; none if these are not tested, for which reasons say why, and no
    alarm of one is left."""

    @classmethod
    def of(cls, told: Told) -> "DriftInfo":
        """Return its form."""
        known, thinning = told.reference, told.thinning
        return cls(
            detector=told.entry.name,
            in_service=told.entry.in_service,
            state=told.state,
            summary=told.summary,
            reasons=list(told.reasons),
            promise=told.promise,
            promise_images=told.promise_images,
            baseline=BaselineInfo.from_reference(known) if known else None,
            lag_images=round(thinning.every) if thinning else None,
            images=told.images,
            images_dropped=told.dropped,
            monitors=[MonitorInfo.of(each) for each in told.streams],
            alarms=[AlarmInfo.of(each) for each in told.alarms],
            window=WindowInfo.of(told.window) if told.window else None,
        )
