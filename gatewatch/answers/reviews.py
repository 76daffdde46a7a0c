"""Reviews, and what is proposed because of them."""

from dataclasses import dataclass
from datetime import datetime

from gatewatch.answers.problem import Problem
from gatewatch.answers.thresholds import Threshold


@dataclass(frozen=True, kw_only=True)
class ReviewInfo:
    """One word on one image."""

    id: str
    image: str
    word: str
    note: str
    who: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class ReviewPage:
    """Reviews, newest first."""

    reviews: list[ReviewInfo]
    next: str | None
    """What to give as cursor to read on; none at the end."""


@dataclass(frozen=True, kw_only=True)
class ShiftInfo:
    """How many of some images are flagged in service, and how many would be."""

    images: int
    flagged_before: int
    flagged_after: int


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """The detector as it would be, and what that would change."""

    threshold: Threshold
    """Its stale says whether it must be calibrated again before it can serve."""
    images_added: int
    """Reviewed images that become calibration images (threshold) or are fitted (images)."""
    reviews: dict[str, ShiftInfo]
    """Of the reviewed images, by the word that counts."""
    history: ShiftInfo
    """Of the latest images that were scored, some thousands at most; a replay goes through all."""


@dataclass(frozen=True, kw_only=True)
class ProposalInfo:
    """One way to do justice to the reviews, or the problem that keeps it from being one."""

    kind: str
    rule: str
    proposed: Proposed | None
    problem: Problem | None


@dataclass(frozen=True, kw_only=True)
class ProposalList:
    """What may be done about the version in service; nothing is done yet."""

    detector: str
    version: int
    """In service, on which all of it builds."""
    reviewed: int
    """Images with a word that were looked at."""
    left_out: int
    """Images with a word whose rows are gone, or beyond the latest hundreds."""
    proposals: list[ProposalInfo]
