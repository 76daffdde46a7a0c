"""Scores and maps of images, and a detector as one file, in the words of the client."""

import asyncio
import os
import uuid
from functools import partial
from pathlib import Path
from typing import Literal

from app.commands.common import File, Files, answer
from app.commands.local.base import Base, by
from app.images.sources import Source, Upload
from app.intake.local_images import content_of, texts_beside
from app.moving import move
from app.schemas.bundles import Imported
from app.schemas.inspection import Explanation
from app.schemas.scores import Scores
from app.scoring import inspection
from gatewatch import answers


class Judging(Base):
    """Score, explain, map; export and import."""

    def score_batch(
        self,
        name: str,
        images: Files,
        *,
        mask: bytes | None,
        group: str,
        places: bool | None = None,
    ) -> answers.Scores:
        """Score images; one that cannot be scored has its problem in its place."""
        upload = self._upload(name, images, mask)
        scored = self._wait(self._service.score(name, upload, group=group, places=places))
        return answer(answers.Scores, Scores.of(scored))

    def explain(
        self, name: str, image: File, *, mask: bytes | None, group: str
    ) -> answers.Explanation:
        """Say of one image where it is odd."""
        upload = self._upload(name, [image], mask)
        found = inspection.inspect(self._service, name, upload, needs_map=False, group=group)
        return answer(answers.Explanation, Explanation.of(self._wait(found)))

    def map(
        self,
        name: str,
        image: File,
        *,
        format: Literal["png", "npy"],
        mask: bytes | None,
        version: int,
        group: str,
    ) -> bytes:
        """Return where an image is odd: a picture, or values for NumPy."""
        upload = self._upload(name, [image], mask)
        drawn = inspection.draw(self._service, name, upload, format, version=version, group=group)
        return self._wait(drawn)

    def export(self, name: str, to: Path, *, version: int, rows: bool, reason: str) -> None:
        """Write a version to a file, which has its name only once it is whole."""
        part = to.parent / f".gatewatch-{uuid.uuid4().hex}"
        with part.open("xb") as file:  # with the umask's mode, which a tempfile has not
            try:
                who = by(reason)
                self._wait(move.export(self._service, name, file, who, version=version, rows=rows))
                file.flush()
                os.fsync(file.fileno())
                part.replace(to)
            finally:
                part.unlink(missing_ok=True)

    def import_(self, file: Path, *, name: str | None, reason: str) -> answers.Imported:
        """Make a detector of an exported file, if images have the same scores here as there."""
        with file.open("rb") as content:
            brought = self._wait(move.bring(self._service, content, by(reason), name or ""))
        said = Imported.of(brought.stored, brought.worst_difference, brought.rows_kept)
        return answer(answers.Imported, said)

    def _upload(self, name: str, images: Files, mask: bytes | None) -> Upload:
        kind = self._kind(name)
        texts = texts_beside([path for _, path in images], kind.suffixes) if kind.pairs else {}
        sources = [
            Source(called, partial(asyncio.to_thread, content_of, path, kind, texts.get(path)))
            for called, path in images
        ]
        return Upload(sources, mask)
