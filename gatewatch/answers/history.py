"""What was said of an image, and of a detector's images over time; the shadow beside them."""

from dataclasses import dataclass
from datetime import datetime

from gatewatch.answers.reviews import ReviewInfo


@dataclass(frozen=True, kw_only=True)
class ScoredInfo:
    """What was said of one image; its rows are kept as long as it is known."""

    id: str
    detector: str
    version: int
    """That said it."""
    at: datetime
    name: str
    """File name as sent."""
    group: str
    sha256: str
    """Of the file that was sent."""
    score: float
    threshold: float | None
    p_value: float | None
    verdict: str


@dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """What was said of one image, and what people have said of that."""

    image: ScoredInfo
    reviews: list[ReviewInfo]
    """The latest first: it is the one that counts."""


@dataclass(frozen=True, kw_only=True)
class HistoryPage:
    """Scored images, newest first."""

    images: list[ScoredInfo]
    next: str | None
    """What to give as cursor to read on; none at the end."""


@dataclass(frozen=True, kw_only=True)
class ShadowInfo:
    """The shadow, and how often it agreed with the version in service since both score."""

    detector: str
    in_service: int
    shadow: int | None
    """The version that scores alongside; none if there is no shadow."""
    images: int
    """Judged by both, where both have a threshold."""
    agreed: int
    only_service: int
    """Flagged by the version in service alone."""
    only_shadow: int
    since: datetime | None
    """When the first of these images was scored."""
    until: datetime | None
