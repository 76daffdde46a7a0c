"""What was said of windows, as plain values that a state keeps: the last one, and an alarm's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from detector.drift.window import WindowReport
from detector.drift.window_images import Window


@dataclass(frozen=True, slots=True)
class Moved:
    """A channel, or a block where ``channel`` is None: how far it has moved.

    ``shift_sd`` is in standard deviations of the calibration, ``spread`` a multiple of these.
    """

    block: str
    channel: int | None
    shift_sd: float
    spread: float
    nats: float


@dataclass(frozen=True, slots=True)
class Said:
    """What the test said of one window; its first and last image's times, its last one's number."""

    since: datetime
    at: datetime
    last_image: int
    last_id: str
    images: int
    level: float
    p_value: float
    splits: int
    statistics: Mapping[str, float]
    """The p-value of each on its own."""
    nats: Mapping[str, float]
    """Divergence beyond chance: mean, scale, correlation and total."""
    blocks: tuple[Moved, ...]
    channels: tuple[Moved, ...]
    contributors: tuple[tuple[str, float], ...]
    ratios: Mapping[str, float]
    changed: tuple[str, ...]
    flagged: float
    flagged_before: float
    flagged_changed: bool
    cause: str
    warming_up: str
    text: str

    @property
    def drifted(self) -> bool:
        """Whether it is an alarm."""
        return self.p_value <= self.level

    @classmethod
    def of(cls, report: WindowReport, window: Window, number: int) -> "Said":
        """Return what a report says of a window whose last image has this number."""
        seen = report.circumstances
        return cls(
            since=window.times[0],
            at=window.times[-1],
            last_image=number,
            last_id=window.ids[-1],
            images=report.images,
            level=report.level,
            p_value=report.result.p,
            splits=report.result.splits,
            statistics=dict(report.result.each),
            nats=dict(report.excess),
            blocks=tuple(
                Moved(each.block, None, each.shift_sd, each.spread, each.nats)
                for each in report.moves.blocks
            ),
            channels=tuple(
                Moved(each.block, each.channel, each.shift_sd, each.spread, each.nats)
                for each in report.moves.channels
            ),
            contributors=report.contributors,
            ratios=dict(seen.ratios),
            changed=seen.changed,
            flagged=seen.flagged.rate,
            flagged_before=seen.flagged_before.rate,
            flagged_changed=seen.share_changed,
            cause=seen.cause,
            warming_up=report.warming_up,
            text=report.text,
        )

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "since": self.since.isoformat(), "at": self.at.isoformat()}

    @classmethod
    def restored(cls, plain: Mapping[str, Any]) -> "Said":
        """Return what ``plain`` was made of."""
        moved = {name: tuple(Moved(**each) for each in plain[name]) for name in _MOVED}
        times = {name: datetime.fromisoformat(plain[name]) for name in ("since", "at")}
        most = tuple((name, nats) for name, nats in plain["contributors"])
        changed = tuple(plain["changed"])
        return cls(**{**plain, **moved, **times, "contributors": most, "changed": changed})


_MOVED = ("blocks", "channels")
