"""Windows of images, tested as a whole: what was said of the last one, and of an alarm."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class BlockMoveInfo:
    """How far a block of the backbone has moved, on average over its channels."""

    block: str
    shift_sd: float
    """In standard deviations of the baseline, less what chance gives."""
    spread: float
    """Standard deviation, as a multiple of the baseline's."""
    nats: float
    """A channel, beyond chance."""


@dataclass(frozen=True, kw_only=True)
class ChannelMoveInfo:
    """How far a channel has moved."""

    block: str
    channel: int
    """Number in the block, from 0."""
    shift_sd: float
    spread: float
    nats: float


@dataclass(frozen=True, kw_only=True)
class ContributorInfo:
    """An image of the window, and how far it has moved, in nats a channel."""

    image: str
    """Its id, for GET /v1/images/{id}."""
    nats: float


@dataclass(frozen=True, kw_only=True)
class CircumstancesInfo:
    """What pictures and verdicts were like, beside the baseline's."""

    ratios: dict[str, float]
    """Of the medians of brightness, contrast and sharpness; empty if not known."""
    changed: list[str]
    """Which of these changed beyond chance and by more than is usual."""
    flagged: float
    """Share of images above the line, which are in no window."""
    flagged_before: float
    """The same of the baseline."""
    flagged_changed: bool
    """Whether these two differ beyond chance."""
    looks_like: str
    """The cause by stated rules, a guess; empty if there is none."""


@dataclass(frozen=True, kw_only=True)
class WindowReportInfo:
    """What was said of one window."""

    since: datetime
    """When its first image was scored."""
    at: datetime
    """When its last one was."""
    images: int
    p_value: float
    """All four statistics together, exact in finite samples."""
    level: float
    """At or below which that was an alarm."""
    drifted: bool
    splits: int
    """Random ones that the p-value is of."""
    statistics: dict[str, float]
    """The p-value of each alone: mean, diagonal, mmd, scores."""
    nats: dict[str, float]
    """Kullback-Leibler divergence from the baseline, chance removed: mean, scale, correlation,
    total. It explains; it is no test."""
    blocks: list[BlockMoveInfo]
    """In the order in which they run."""
    channels: list[ChannelMoveInfo]
    """The ten that moved most, most first."""
    contributors: list[ContributorInfo]
    """The ten images that moved most, most first."""
    circumstances: CircumstancesInfo
    warming_up: str
    """Why only large changes are seen; empty if window and baseline suffice."""
    text: str
    """All of it in a sentence."""


@dataclass(frozen=True, kw_only=True)
class WindowInfo:
    """How windows stand: images, one after another, that are tested together."""

    images: int
    """In the window being filled."""
    target_images: int
    """That fill a window; images above the line are in none."""
    level: float
    """At or below which a window's p-value is an alarm: its share of the promise."""
    alarms: int
    """Since the detector is watched."""
    latched: bool
    """Whether there is an alarm that nobody has acknowledged (monitor: window)."""
    last: WindowReportInfo | None
    """Of the last window, since the baseline."""
    alarmed: WindowReportInfo | None
    """Of the one that raised the alarm that nobody has acknowledged."""
