"""How much is kept of each detector, counted in the database: for the metrics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, func, select

from app.storage.database import Database
from app.storage.tables import CHUNKS, DETECTORS, REVIEWS, SCORED, TO_REVIEW, VERSIONS


@dataclass(frozen=True, slots=True)
class Census:
    """Of one detector.

    Attributes:
        fitted_at: when what serves was fitted: the first version with the same fit.
        to_review: images that were flagged, or nearly, and that nobody has reviewed yet.
        kept_bytes: of scored images.
    """

    fitted_at: datetime
    to_review: int
    kept_bytes: int


def census(database: Database) -> Mapping[str, Census]:
    """Count; by the id of the detector."""
    sizes = select(CHUNKS.c.detector_id, func.sum(CHUNKS.c.size_bytes)).group_by(
        CHUNKS.c.detector_id
    )
    serving = VERSIONS.alias()
    fitted = (
        select(DETECTORS.c.id, func.min(VERSIONS.c.created_at))
        .join(
            serving,
            (serving.c.detector_id == DETECTORS.c.id)
            & (serving.c.version == DETECTORS.c.in_service),
        )
        .join(
            VERSIONS,
            (VERSIONS.c.detector_id == DETECTORS.c.id)
            & (VERSIONS.c.fit_blob == serving.c.fit_blob),
        )
        .group_by(DETECTORS.c.id)
    )
    with database.read() as connection:
        images, kept = to_review(connection), _counts(connection, sizes)
        return {
            row[0]: Census(row[1], images.get(row[0], 0), kept.get(row[0], 0))
            for row in connection.execute(fitted)
        }


def to_review(connection: Connection) -> dict[str, int]:
    """Count images that wait for a person; by the id of the detector, if there are any."""
    waiting = (
        select(SCORED.c.detector_id, func.count())
        .where(
            TO_REVIEW,  # a person is asked about them
            ~exists().where(REVIEWS.c.image_id == SCORED.c.id),
        )
        .group_by(SCORED.c.detector_id)
    )
    return _counts(connection, waiting)


def _counts(connection: Connection, chosen: Select[Any]) -> dict[str, int]:
    return {row[0]: int(row[1]) for row in connection.execute(chosen)}
