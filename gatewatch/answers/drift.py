"""Drift: how the monitors of a detector stand."""

from dataclasses import dataclass
from datetime import datetime

from gatewatch.answers.drift_window import WindowInfo


@dataclass(frozen=True, kw_only=True)
class AlarmInfo:
    """One alarm."""

    monitor: str
    watches: str
    """What of an image raised it."""
    image_number: int
    """Of the image that did, counted from 0 since the detector is watched; of a window its last."""
    image: str
    """Its id, for GET /v1/images/{id}."""
    at: datetime


@dataclass(frozen=True, kw_only=True)
class MonitorInfo:
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


@dataclass(frozen=True, kw_only=True)
class BaselineInfo:
    """What the traffic is compared with."""

    of: str
    version: int
    """In service when it became the baseline."""
    images: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class DriftInfo:
    """Whether a detector's traffic has changed."""

    detector: str
    in_service: int
    state: str
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
