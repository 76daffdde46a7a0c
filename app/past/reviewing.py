"""What people say of verdicts, and what was said of an image."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.access.credentials import without_secrets
from app.errors import ReviewMismatchError, UnknownImageError
from app.service import Service
from app.storage.audit import By
from app.storage.cursor import Cursor
from app.storage.history import ScoredImage
from app.storage.reviews import Review, Reviews, ReviewWord

FLAGGED_ONLY: dict[ReviewWord, bool] = {
    "confirmed": True,
    "false_alarm": True,
    "passed": False,
    "missed": False,
}
"""Whether a word is one on a flagged image, or on one that was not."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of an image, by which detector, and every word of review, latest first."""

    image: ScoredImage
    detector: str
    reviews: Sequence[Review]


async def look_up(service: Service, identity: str) -> Told:
    """Return what was said of an image; also of one that was scored this very moment.

    Raises:
        UnknownImageError: if it is not kept.
    """
    image, detector = await _image(service, identity)
    reviews = Reviews(service.storage.database)
    return Told(image, detector, await asyncio.to_thread(reviews.of_image, identity))


async def review(service: Service, identity: str, word: ReviewWord, note: str, by: By) -> Review:
    """Keep a person's word on an image; the latest counts. A key in the note is left out.

    Raises:
        UnknownImageError: if the image is not kept.
        ReviewMismatchError: if an image that was not flagged is called an alarm, or the reverse.
        ConflictError: if the detector was deleted meanwhile.
    """
    image, detector = await _image(service, identity)
    if image.verdict == "uncalibrated":
        raise ReviewMismatchError(
            "the image had a score, but no verdict, for there was no threshold: calibrate the "
            "detector and score the image again"
        )
    flagged = image.verdict == "anomalous"
    if FLAGGED_ONLY[word] != flagged:
        said = "was flagged" if flagged else "was not flagged"
        fitting = [name for name, only in FLAGGED_ONLY.items() if only == flagged]
        raise ReviewMismatchError(
            f"{word!r} does not fit image {identity!r}, which {said}: say {' or '.join(fitting)}"
        )
    reviews = Reviews(service.storage.database)
    made = await asyncio.to_thread(reviews.add, image, word, without_secrets(note), by)
    service.telemetry.drift.reviewed(detector, word)
    return made


async def reviews_of(
    service: Service, detector: str | None, limit: int, cursor: str | None
) -> list[Review]:
    """Return reviews, newest first: one more than the limit if there are more.

    Raises:
        UnknownDetectorError
    """
    found = ""
    if detector is not None:
        found = (await asyncio.to_thread(service.storage.versions.entry, detector)).id
    page = partial(
        Reviews(service.storage.database).page,
        limit + 1,
        detector_id=found,
        cursor=Cursor.of(cursor),
    )
    return list(await asyncio.to_thread(page))


async def scored_of(
    service: Service, detector: str, limit: int, cursor: str | None, **which: Any
) -> list[ScoredImage]:
    """Return what was scored, newest first: one more than the limit if there are more.

    Raises:
        UnknownDetectorError
    """
    entry = await asyncio.to_thread(service.storage.versions.entry, detector)
    place = Cursor.of(cursor)
    page = partial(service.history.kept.page, entry.id, limit + 1, cursor=place, **which)
    return list(await asyncio.to_thread(page))


async def _image(service: Service, identity: str) -> tuple[ScoredImage, str]:
    kept = service.history.kept
    try:
        return await asyncio.to_thread(kept.image, identity)
    except UnknownImageError:
        await service.history.flush()  # it may have been scored less than a second ago
        return await asyncio.to_thread(kept.image, identity)
