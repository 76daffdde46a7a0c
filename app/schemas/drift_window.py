"""Windows of images, tested as a whole: what was said of the last one, and of an alarm."""

from pydantic import AwareDatetime

from app.monitoring.telling import Windowed
from app.monitoring.window_record import Moved, Said
from app.schemas.base import Body


class BlockMoveInfo(Body):
    """How far a block of the backbone has moved, on average over its channels."""

    block: str
    shift_sd: float
    """In standard deviations of the baseline, less what chance gives."""
    spread: float
    """Standard deviation, as a multiple of the baseline's."""
    nats: float
    """A channel, beyond chance."""

    @classmethod
    def of(cls, moved: Moved) -> "BlockMoveInfo":
        """Return its form."""
        return cls(block=moved.block, shift_sd=moved.shift_sd, spread=moved.spread, nats=moved.nats)


class ChannelMoveInfo(Body):
    """How far a channel has moved."""

    block: str
    channel: int
    """Number in the block, from 0."""
    shift_sd: float
    spread: float
    nats: float

    @classmethod
    def of(cls, moved: Moved) -> "ChannelMoveInfo":
        """Return its form."""
        return cls(
            block=moved.block,
            channel=moved.channel or 0,
            shift_sd=moved.shift_sd,
            spread=moved.spread,
            nats=moved.nats,
        )


class ContributorInfo(Body):
    """An image of the window, and how far it has moved, in nats a channel."""

    image: str
    """Its id, for GET /v1/images/{id}."""
    nats: float


class CircumstancesInfo(Body):
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


class WindowReportInfo(Body):
    """What was said of one window."""

    since: AwareDatetime
    """When its first image was scored."""
    at: AwareDatetime
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

    @classmethod
    def of(cls, said: Said) -> "WindowReportInfo":
        """Return its form."""
        return cls(
            since=said.since,
            at=said.at,
            images=said.images,
            p_value=said.p_value,
            level=said.level,
            drifted=said.drifted,
            splits=said.splits,
            statistics=dict(said.statistics),
            nats=dict(said.nats),
            blocks=[BlockMoveInfo.of(each) for each in said.blocks],
            channels=[ChannelMoveInfo.of(each) for each in said.channels],
            contributors=[ContributorInfo(image=i, nats=nats) for i, nats in said.contributors],
            circumstances=CircumstancesInfo(
                ratios=dict(said.ratios),
                changed=list(said.changed),
                flagged=said.flagged,
                flagged_before=said.flagged_before,
                flagged_changed=said.flagged_changed,
                looks_like=said.cause,
            ),
            warming_up=said.warming_up,
            text=said.text,
        )


class WindowInfo(Body):
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

    @classmethod
    def of(cls, told: Windowed) -> "WindowInfo":
        """Return its form."""
        return cls(
            images=told.images,
            target_images=told.target_images,
            level=told.level,
            alarms=told.alarms,
            latched=told.latched is not None,
            last=WindowReportInfo.of(told.last) if told.last else None,
            alarmed=WindowReportInfo.of(told.alarmed) if told.alarmed else None,
        )
