"""From a job's images to rows, chunk by chunk; each is kept before the next begins.

A run that was stopped goes on after the chunks that it has kept: what was embedded once is not
embedded again, and the result is the one it would have had.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, replace
from functools import partial

from app import problems
from app.errors import AlreadyFittedError
from app.images.sources import Source
from app.intake.spool import Images
from app.scoring.arriving import Look
from app.scoring.ingest import Ingest
from app.storage.row_chunks import Arrival, Chunk, RowChunks
from app.unbroken import unbroken
from detector.detector import Detector
from detector.embedding import VIEWS, Embedding

CHUNK_IMAGES = 64

Progress = Callable[[int], object]
"""Called with how many images were just done."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is collected for: a detector, under a name that is the same when it is taken up again.

    Images whose digest is ``unwanted`` are left out: they were fitted.
    """

    detector_id: str
    name: str
    unwanted: Collection[str] = ()


class Collector:
    """Embeds a run's images and keeps their rows."""

    def __init__(self, ingest: Ingest, chunks: RowChunks) -> None:
        self._ingest = ingest
        self._chunks = chunks

    async def collect(
        self, detector: Detector, images: Images, look: Look, run: Run, progress: Progress
    ) -> AsyncIterator[Chunk]:
        """Yield all images, in order, in chunks of at most ``CHUNK_IMAGES``.

        Raises:
            UnavailableError: if the service is stopping.
            StorageUnavailableError: if a chunk cannot be kept.
        """
        kept = await asyncio.to_thread(self._begun, detector, run)
        begin = 0
        for name in kept:
            chunk = await asyncio.to_thread(self._chunks.read, name)
            begin += len(chunk.arrivals)
            progress(len(chunk.arrivals))
            yield chunk
        rest = range(begin, len(images))
        coming = [_Hashed(images, index, run.unwanted) for index in rest]
        views = VIEWS if look.mirrored else 1
        number = len(kept)
        arrivals: list[Arrival] = []
        embeddings: list[Embedding] = []
        outcomes = self._ingest.embed_all([each.source for each in coming], look)
        following = iter(coming)
        async for _, outcome in outcomes:
            arrived = next(following).arrival
            if isinstance(outcome, Embedding):
                arrivals.append(replace(arrived, row=len(embeddings)))
                embeddings.append(outcome)
            else:
                problem = problems.of(outcome).model_dump()
                arrivals.append(replace(arrived, problem=problem))
            progress(1)
            if len(arrivals) == CHUNK_IMAGES:
                yield await self._kept(detector, run, number, arrivals, embeddings, views)
                arrivals, embeddings, number = [], [], number + 1
        if arrivals:
            yield await self._kept(detector, run, number, arrivals, embeddings, views)

    def _begun(self, detector: Detector, run: Run) -> list[str]:
        """Return the chunks that a run has kept; none of another backbone, which go."""
        kept = self._chunks.of_run(run.detector_id, run.name)
        if kept and self._chunks.read(kept[0]).backbone != _backbone(detector):
            self._chunks.remove_run(run.detector_id, run.name)
            return []
        return kept

    async def _kept(
        self,
        detector: Detector,
        run: Run,
        number: int,
        arrivals: list[Arrival],
        embeddings: list[Embedding],
        views: int,
    ) -> Chunk:
        def keep() -> Chunk:
            rows = detector.rows(Embedding.concatenate(embeddings)) if embeddings else None
            return self._chunks.write(
                run.detector_id, run.name, number, arrivals, rows, views, _backbone(detector)
            )

        return await unbroken(self._ingest.in_pool(keep))


def _backbone(detector: Detector) -> str:
    return detector.spec.backbone_fingerprint


class _Hashed:
    """An image that is known by its digest once it was read."""

    def __init__(self, images: Images, index: int, unwanted: Collection[str]) -> None:
        entry = images.entries[index]
        self.arrival = Arrival(entry.name, entry.group, entry.role, entry.sha256 or "")
        self.source = Source(entry.name, partial(asyncio.to_thread, self._read, images, index))
        self._unwanted = unwanted

    def _read(self, images: Images, index: int) -> bytes:
        content = images.read(index)
        digest = hashlib.sha256(content).hexdigest()
        self.arrival = replace(self.arrival, sha256=digest)
        if digest in self._unwanted:
            raise AlreadyFittedError("this very image was fitted: calibrate with others")
        return content
