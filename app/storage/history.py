"""What was scored: a row of the database for each image, and its rows in blobs of some dozens.

A blob is written first, then all that names it, in one transaction: a crash in between leaves a
blob that nothing names, for ``app.storage.sweep``. Both go together, oldest first; the rows of a
deleted detector go with its own.
"""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from app.errors import UnknownImageError
from app.storage.blobs import Blobs
from app.storage.cursor import Cursor, beyond, newest_first
from app.storage.database import Database
from app.storage.tables import CHUNKS, DETECTORS, SCORED
from detector.row_file import read_rows, rows_bytes
from detector.rows import Rows

Word = Literal["normal", "uncertain", "anomalous", "uncalibrated"]
FOLDER = "history"
AT_ONCE = 500
"""Chunks removed, or images looked up, by one statement."""


@dataclass(frozen=True, slots=True)
class ScoredImage:
    """What was said of one image, by which version and when, and where its rows are."""

    id: str
    detector_id: str
    version: int
    at: datetime
    name: str
    group: str
    sha256: str
    score: float
    threshold: float | None
    p_value: float | None
    verdict: Word
    chunk: str
    row: int


@dataclass(frozen=True, slots=True)
class KeptChunk:
    """Images of one version that were scored one after another."""

    id: str
    blob: str
    images: int
    size_bytes: int
    first_at: datetime
    last_at: datetime


_NAMES = [each.name for each in fields(ScoredImage)]
_SCORED = [SCORED.c[name] for name in _NAMES]
_CHUNK = [CHUNKS.c[each.name] for each in fields(KeptChunk)]


class KeptHistory:
    """Writes, reads and removes what was scored."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def write(self, backbone: str, images: Sequence[ScoredImage], rows: Rows) -> bool:
        """Keep images of one version, in the order of their rows.

        Args:
            backbone: fingerprint of the backbone that made the rows.
            images: at least one; where they are kept is filled in here.
            rows: theirs.

        Returns:
            False if the detector was deleted meanwhile; then nothing is kept.
        """
        chunk, detector_id = uuid.uuid4().hex, images[0].detector_id
        blob = f"{folder(detector_id)}/{chunk}"
        placed = [
            {name: getattr(each, name) for name in _NAMES} | {"chunk": chunk, "row": row}
            for row, each in enumerate(images)
        ]
        moments = [each.at for each in images]
        content = rows_bytes(rows, {"backbone": backbone, "images": [each.id for each in images]})
        self._blobs.put(blob, content)
        try:
            with self._database.write(of_detectors=False) as connection:
                connection.execute(
                    insert(CHUNKS).values(
                        id=chunk,
                        detector_id=detector_id,
                        blob=blob,
                        images=len(placed),
                        size_bytes=len(content),
                        first_at=min(moments),
                        last_at=max(moments),
                    )
                )
                connection.execute(insert(SCORED), placed)
        except BaseException as error:
            self._blobs.delete(blob)
            if isinstance(error, IntegrityError):  # there is no row of the detector any more
                return False
            raise
        return True

    def image(self, identity: str) -> tuple[ScoredImage, str]:
        """Return what was said of an image, and the name of the detector that said it.

        Raises:
            UnknownImageError: if it is not kept.
        """
        chosen = select(*_SCORED, DETECTORS.c.name.label("detector")).join(
            DETECTORS, DETECTORS.c.id == SCORED.c.detector_id
        )
        with self._database.read() as connection:
            row = connection.execute(chosen.where(SCORED.c.id == identity)).first()
        if row is None:
            raise UnknownImageError(
                f"no image {identity!r}: it was never scored, or is older than what is kept "
                "(GATEWATCH_HISTORY_BYTES, GATEWATCH_HISTORY_DAYS)"
            )
        *values, detector = row
        return ScoredImage(*values), detector

    def known(self, identities: Collection[str]) -> list[ScoredImage]:
        """Return those of these images that are kept, ordered by where their rows are."""
        wanted, found = sorted(identities), []
        with self._database.read() as connection:
            for start in range(0, len(wanted), AT_ONCE):
                some = SCORED.c.id.in_(wanted[start : start + AT_ONCE])
                found += [
                    ScoredImage(*row) for row in connection.execute(select(*_SCORED).where(some))
                ]
        return sorted(found, key=lambda image: (image.chunk, image.row))

    def page(
        self,
        detector_id: str,
        limit: int,
        *,
        cursor: Cursor | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        verdict: Word | None = None,
    ) -> list[ScoredImage]:
        """Return what was said of a detector's images, newest first; see ``chunks`` for times."""
        chosen = select(*_SCORED).where(SCORED.c.detector_id == detector_id, _within(since, until))
        if verdict is not None:
            chosen = chosen.where(SCORED.c.verdict == verdict)
        if cursor is not None:
            chosen = chosen.where(beyond(SCORED, cursor))
        with self._database.read() as connection:
            rows = connection.execute(chosen.order_by(*newest_first(SCORED)).limit(limit))
            return [ScoredImage(*row) for row in rows]

    def chunks(
        self, detector_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[KeptChunk]:
        """Return the chunks with images scored at or after ``since`` and before ``until``."""
        chosen = select(*_CHUNK).where(CHUNKS.c.detector_id == detector_id)
        if since is not None:
            chosen = chosen.where(CHUNKS.c.last_at >= since)
        if until is not None:
            chosen = chosen.where(CHUNKS.c.first_at < until)
        with self._database.read() as connection:
            ordered = chosen.order_by(CHUNKS.c.first_at, CHUNKS.c.id)
            return [KeptChunk(*row) for row in connection.execute(ordered)]

    def images_of(
        self, chunk: KeptChunk, since: datetime | None = None, until: datetime | None = None
    ) -> list[ScoredImage]:
        """Return a chunk's images of that time; none if it was removed meanwhile."""
        chosen = select(*_SCORED).where(SCORED.c.chunk == chunk.id, _within(since, until))
        with self._database.read() as connection:
            return [ScoredImage(*row) for row in connection.execute(chosen.order_by(SCORED.c.row))]

    def rows(self, detector_id: str, chunk: str) -> tuple[Rows, str]:
        """Return a chunk's rows, and the fingerprint of the backbone that made them.

        Raises:
            MissingBlobError: if it was removed.
            ArtefactError: if it is damaged.
        """
        rows, about = read_rows(self._blobs.get(f"{folder(detector_id)}/{chunk}"))
        assert rows is not None  # no chunk is without images
        return rows, about["backbone"]

    def trim(self, most_bytes: int, oldest: datetime) -> int:
        """Remove the oldest chunks, so that what is left fits; return how many went.

        Args:
            most_bytes: of all detectors' chunks together.
            oldest: chunks whose last image was scored before it go, whatever their size.
        """
        with self._database.read() as connection:
            if not _beyond_caps(connection, most_bytes, oldest, most=1):
                return 0  # as it is nearly always
        with self._database.write(of_detectors=False) as connection:
            gone = _beyond_caps(connection, most_bytes, oldest)
            identities = [chunk.id for chunk in gone]
            connection.execute(delete(SCORED).where(SCORED.c.chunk.in_(identities)))
            connection.execute(delete(CHUNKS).where(CHUNKS.c.id.in_(identities)))
        for chunk in gone:
            self._blobs.delete(chunk.blob)
        return len(gone)


def folder(detector_id: str) -> str:
    """Return the folder of the rows of what a detector has scored."""
    return f"{FOLDER}/{detector_id}"


def _within(since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
    bounds = [SCORED.c.at >= since] if since is not None else []
    bounds += [SCORED.c.at < until] if until is not None else []
    return and_(True, *bounds)


def _beyond_caps(
    connection: Connection, most_bytes: int, oldest: datetime, most: int = AT_ONCE
) -> list[KeptChunk]:
    """Return the oldest chunks, as many as must go, at most ``most``.

    One statement reads both the sum and the chunks: else another process may remove some between
    the two, and as much again would go.
    """
    held = select(func.sum(CHUNKS.c.size_bytes)).scalar_subquery()
    by_age = select(held, *_CHUNK).order_by(CHUNKS.c.last_at, CHUNKS.c.id).limit(most)
    rows, gone = connection.execute(by_age).all(), []
    left = int(rows[0][0]) if rows else 0
    for _, *row in rows:
        chunk = KeptChunk(*row)
        if left <= most_bytes and chunk.last_at >= oldest:
            break
        left -= chunk.size_bytes
        gone.append(chunk)
    return gone
