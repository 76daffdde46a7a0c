"""What comes of judging the past again."""

from dataclasses import dataclass
from datetime import datetime

from gatewatch.answers.history import ScoredInfo
from gatewatch.answers.thresholds import Threshold


@dataclass(frozen=True, kw_only=True)
class CountInfo:
    """How many images were flagged then, and would be now."""

    images: int
    flagged_then: int
    flagged_now: int


@dataclass(frozen=True, kw_only=True)
class BinInfo(CountInfo):
    """Images of an hour or a day (UTC)."""

    start: datetime


@dataclass(frozen=True, kw_only=True)
class ChangedInfo:
    """An image as it was judged then, and as it would be now."""

    then: ScoredInfo
    score: float
    threshold: float
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ReplayInfo:
    """What the past would have looked like; nothing was changed."""

    detector: str
    version: int
    """That judged."""
    scorer: str
    threshold: Threshold
    images: int
    left_out: int
    """Images that were not judged, for another backbone saw them."""
    then: dict[str, int]
    """Images by what was said of them."""
    now: dict[str, int]
    """Images by what would be said."""
    newly_flagged: int
    """Of images that had a verdict then."""
    no_longer_flagged: int
    step: str
    """What a bin stands for."""
    bins: list[BinInfo]
    """In order of time; hours or days without images are left out."""
    changed: list[ChangedInfo]
    """Those that change most: verdicts that flip first, then by how far the score moves."""
    reviews: dict[str, CountInfo]
    """Reviewed images, by the word that counts."""
