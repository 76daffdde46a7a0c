"""What people have said of verdicts; the latest word on an image counts, earlier ones stay."""

import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Select, insert, select

from app.clock import now
from app.errors import ConflictError
from app.storage.audit import By, record
from app.storage.cursor import Cursor, beyond, newest_first
from app.storage.database import Database
from app.storage.history import ScoredImage
from app.storage.tables import DETECTORS, REVIEWS

ReviewWord = Literal["confirmed", "false_alarm", "passed", "missed"]


@dataclass(frozen=True, slots=True)
class Review:
    """One word on one image."""

    id: str
    image_id: str
    detector_id: str
    word: ReviewWord
    note: str
    who: str
    at: datetime


_REVIEW = [REVIEWS.c[each.name] for each in fields(Review)]


class Reviews:
    """Adds and reads words."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, image: ScoredImage, word: ReviewWord, note: str, by: By) -> Review:
        """Keep a word on an image.

        Raises:
            ConflictError: if the detector was deleted meanwhile.
        """
        made = Review(uuid.uuid4().hex, image.id, image.detector_id, word, note, by.who, now())
        with self._database.write() as connection:
            # Others may not delete it before this ends, but may change it.
            named = select(DETECTORS.c.name).where(DETECTORS.c.id == image.detector_id)
            name = connection.scalar(named.with_for_update(read=True, key_share=True))
            if name is None:
                raise ConflictError("the detector was deleted meanwhile: nothing done")
            said = select(REVIEWS.c.word).where(REVIEWS.c.image_id == image.id)
            earlier = connection.scalar(said.order_by(*newest_first(REVIEWS)).limit(1))
            connection.execute(insert(REVIEWS).values(asdict(made)))
            before = {"image": image.id, "word": earlier}
            after = {"image": image.id, "word": word, "note": note, "verdict": image.verdict}
            record(connection, by, "review", name, before=before, after=after)
        return made

    def of_image(self, identity: str) -> list[Review]:
        """Return every word on an image, the latest first."""
        chosen = select(*_REVIEW).where(REVIEWS.c.image_id == identity)
        return self._read(chosen.order_by(*newest_first(REVIEWS)))

    def page(
        self, limit: int, *, detector_id: str = "", cursor: Cursor | None = None
    ) -> list[Review]:
        """Return words, newest first, on all images or on those of one detector."""
        chosen = select(*_REVIEW)
        if detector_id:
            chosen = chosen.where(REVIEWS.c.detector_id == detector_id)
        if cursor is not None:
            chosen = chosen.where(beyond(REVIEWS, cursor))
        return self._read(chosen.order_by(*newest_first(REVIEWS)).limit(limit))

    def latest(self, detector_id: str) -> Mapping[str, Review]:
        """Return the word that counts on every reviewed image of a detector, by the image's id."""
        chosen = select(*_REVIEW).where(REVIEWS.c.detector_id == detector_id)
        words = self._read(chosen.order_by(REVIEWS.c.at, REVIEWS.c.id))
        return {review.image_id: review for review in words}

    def _read(self, chosen: Select[Any]) -> list[Review]:
        with self._database.read() as connection:
            return [Review(*row) for row in connection.execute(chosen)]
