"""What was said of an image, and of a detector's images over time; the shadow beside them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

from app.past.reviewing import Told
from app.past.shadowing import Shadowed
from app.schemas.base import Body, VersionNumber
from app.schemas.keys import Expiry
from app.schemas.reviews import ReviewInfo
from app.storage.cursor import Cursor
from app.storage.history import ScoredImage, Word


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("no such moment in UTC") from error


Moment = Annotated[Expiry, AfterValidator(_utc)]
"""A date and time with its zone, as a client gives it."""


class ScoredInfo(Body):
    """What was said of one image; its rows are kept as long as it is known."""

    id: str
    detector: str
    version: int
    """That said it."""
    at: AwareDatetime
    name: str
    """File name as sent."""
    group: str
    sha256: str
    """Of the file that was sent."""
    score: float
    threshold: float | None
    p_value: float | None
    verdict: Word

    @classmethod
    def of(cls, image: ScoredImage, detector: str) -> "ScoredInfo":
        """Return its form."""
        return cls(
            id=image.id,
            detector=detector,
            version=image.version,
            at=image.at,
            name=image.name,
            group=image.group,
            sha256=image.sha256,
            score=image.score,
            threshold=image.threshold,
            p_value=image.p_value,
            verdict=image.verdict,
        )


class ImageInfo(Body):
    """What was said of one image, and what people have said of that."""

    image: ScoredInfo
    reviews: list[ReviewInfo]
    """The latest first: it is the one that counts."""

    @classmethod
    def of(cls, told: Told) -> "ImageInfo":
        """Return its form."""
        return cls(
            image=ScoredInfo.of(told.image, told.detector),
            reviews=[ReviewInfo.of(review) for review in told.reviews],
        )


class HistoryPage(Body):
    """Scored images, newest first."""

    images: list[ScoredInfo]
    next: str | None
    """What to give as cursor to read on; none at the end."""

    @classmethod
    def of(cls, images: Sequence[ScoredImage], detector: str, limit: int) -> "HistoryPage":
        """Return the first ``limit`` of these; one beyond tells that there are more."""
        shown = images[:limit]
        more = str(Cursor(shown[-1].at, shown[-1].id)) if len(images) > limit else None
        return cls(images=[ScoredInfo.of(image, detector) for image in shown], next=more)


class NewShadow(Body):
    """Which version shall score alongside."""

    version: VersionNumber


class ShadowInfo(Body):
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
    since: AwareDatetime | None
    """When the first of these images was scored."""
    until: AwareDatetime | None

    @classmethod
    def of(cls, shadowed: Shadowed) -> "ShadowInfo":
        """Return its form."""
        entry, counted = shadowed.entry, shadowed.agreement
        return cls(
            detector=entry.name,
            in_service=entry.in_service,
            shadow=entry.shadow,
            images=counted.images if counted else 0,
            agreed=counted.agreed if counted else 0,
            only_service=counted.only_service if counted else 0,
            only_shadow=counted.only_shadow if counted else 0,
            since=counted.first_at if counted else None,
            until=counted.last_at if counted else None,
        )
