"""The images of a detector that people have reviewed, with their rows."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Bool

from app.errors import MissingBlobError
from app.service import Service
from app.storage.history import ScoredImage
from app.storage.reviews import Reviews, ReviewWord
from app.storage.version_reader import Stored
from detector.rows import Rows

MOST_REVIEWED = 500
"""Reviewed images that are looked at, the latest: some 50 MB of rows."""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Reviewed images, the word that counts on each, and their rows; None if there are no images.

    ``left_out`` counts reviewed images whose rows are not kept any more, that another backbone saw,
    or that are beyond the latest ``MOST_REVIEWED``.
    """

    images: Sequence[ScoredImage]
    words: Sequence[ReviewWord]
    rows: Rows | None
    left_out: int

    def are(self, *words: ReviewWord) -> Bool[np.ndarray, " n"]:
        """Return which images are of these words."""
        return np.array([word in words for word in self.words], dtype=bool)


async def reviewed(service: Service, stored: Stored) -> Reviewed:
    """Return a detector's reviewed images that this version can judge.

    Raises:
        ArtefactError: if rows are damaged.
    """
    return await asyncio.to_thread(_reviewed, service, stored)


def _reviewed(service: Service, stored: Stored) -> Reviewed:
    kept, entry = service.history.kept, stored.entry
    latest = Reviews(service.storage.database).latest(entry.id)
    recent = sorted(latest.values(), key=lambda review: (review.at, review.id))[-MOST_REVIEWED:]
    known = kept.known([review.image_id for review in recent])
    images: list[ScoredImage] = []
    parts: list[Rows] = []
    for chunk, group in groupby(known, key=lambda image: image.chunk):
        part = list(group)
        try:
            rows, backbone = kept.rows(entry.id, chunk)
        except MissingBlobError:
            continue
        if backbone == stored.detector.spec.backbone_fingerprint:
            images += part
            parts.append(rows.take([image.row for image in part]))
    return Reviewed(
        images,
        [latest[image.id].word for image in images],
        Rows.concatenate(parts) if parts else None,
        len(latest) - len(images),
    )
