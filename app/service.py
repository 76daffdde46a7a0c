"""The use cases: create, fit, calibrate, set a threshold, score; for HTTP and command line."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from weakref import WeakValueDictionary

import numpy as np

from app.errors import NoImagesError, UnknownDetectorError
from app.ingest import Arrived, Failure, Ingest
from app.results import Judged, Learned, Rejected, Scored, Timings
from app.settings import Settings
from app.sources import Source
from app.storage import Storage, Stored
from app.telemetry import Telemetry
from detector import conformal
from detector.detector import DEFAULT_IMAGE_SIZE, Detector, Spec
from detector.embedder import Embedder, Embedding
from detector.errors import ArtefactError, FingerprintMismatchError, InvalidSpecError
from detector.moments import BlockMoments, merge

log = logging.getLogger(__name__)

FOLD_IMAGES = 64
"""Images whose rows are held at once while fitting or calibrating."""

Progress = Callable[[int], object]
"""Called with how many images were just done."""


class Service:
    """Built once, started in an event loop, stopped at the end (``async with``)."""

    def __init__(
        self, settings: Settings, embedder: Embedder, storage: Storage, telemetry: Telemetry
    ) -> None:
        self.settings = settings
        self.embedder = embedder
        self.telemetry = telemetry
        self._storage = storage
        self._ingest = Ingest(settings, embedder, telemetry)
        # Weak, so that a lock lives only as long as somebody holds or awaits it.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._warm = False

    async def __aenter__(self) -> "Service":
        self._ingest.start()
        try:
            await self._warm_up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._warm = False
        await self._ingest.stop()
        self._storage.close()

    async def _warm_up(self) -> None:
        """Embed one image, so that the first request is not the slow one; show what is stored."""
        side = DEFAULT_IMAGE_SIZE
        blank = self.embedder.prepare(np.zeros((side, side, 3), np.uint8), side)
        await asyncio.gather(*self._ingest.batcher.submit([blank]))
        for stored in self.all():
            self._show(stored)
        self._warm = True

    @property
    def ready(self) -> bool:
        """Whether an image sent now would be scored."""
        return self._warm and self._ingest.batcher.alive

    def create(
        self, name: str, *, backbone: str, scorer: str, descriptor: str, image_size: int
    ) -> Stored:
        """Create a detector that has seen nothing yet.

        Raises:
            InvalidSpecError, DetectorExistsError
        """
        if backbone != self.embedder.name:
            raise InvalidSpecError(f"this service runs backbone {self.embedder.name!r} only")
        spec = Spec(name, backbone, self.embedder.fingerprint, scorer, descriptor, image_size)
        return self._show(self._storage.create(Detector(spec)))

    def get(self, name: str) -> Stored:
        """Return a detector. Raises UnknownDetectorError."""
        return self._storage.get(name)

    def all(self) -> list[Stored]:
        """Return every detector whose file can be read, by name; log the others."""
        readable = []
        for name in self._storage.names():
            try:
                readable.append(self._storage.get(name))
            except UnknownDetectorError:
                pass  # deleted since its name was read
            except ArtefactError:
                log.exception("detector %r cannot be served: delete it and fit it anew", name)
        return readable

    def delete(self, name: str) -> None:
        """Delete a detector. Raises UnknownDetectorError."""
        self._storage.delete(name)
        self.telemetry.forget(name)

    async def fit(
        self,
        name: str,
        sources: Sequence[Source],
        *,
        extend: bool,
        progress: Progress | None = None,
    ) -> Learned:
        """Fit a detector to normal images, in place of or on top of those it knows.

        Raises:
            UnknownDetectorError, NoImagesError, DegenerateDataError, FingerprintMismatchError,
            ConflictError
        """
        async with self._writing(name):
            old = base = (await asyncio.to_thread(self.get, name)).detector
            if extend and old.moments:
                self._check_fingerprint(old)
            else:  # a fresh fit may move to the backbone that runs now
                spec = replace(old.spec, backbone_fingerprint=self.embedder.fingerprint)
                base = replace(old, spec=spec)
            moments: BlockMoments = {}
            rejected: list[Rejected] = []
            async for part in self._embeddings(base, sources, rejected, progress):
                moments = merge(moments, await self._ingest.in_pool(partial(base.moments_of, part)))
            used = _require_images(len(sources), rejected)
            learn = partial(base.learn, moments, extend=extend)
            return Learned(await self._put(old, await self._ingest.in_pool(learn)), used, rejected)

    async def calibrate(
        self,
        name: str,
        sources: Sequence[Source],
        *,
        target: float,
        progress: Progress | None = None,
    ) -> Learned:
        """Score held-out normal images and set the conformal threshold for a false-alarm rate.

        Raises:
            UnknownDetectorError, NotFittedError, NoImagesError, InvalidSpecError,
            InsufficientCalibrationError, FingerprintMismatchError, ConflictError
        """
        async with self._writing(name):
            old = await self._usable(name)
            conformal.rank(len(sources), target)  # refuse before the work, not after it
            scores: list[np.ndarray] = []
            rejected: list[Rejected] = []
            async for part in self._embeddings(old, sources, rejected, progress):
                scores.append(await self._ingest.in_pool(partial(old.scores, part)))
            used = _require_images(len(sources), rejected)
            new = old.calibrate(np.concatenate(scores), target)
            return Learned(await self._put(old, new), used, rejected)

    async def set_threshold(
        self, name: str, *, target: float | None = None, value: float | None = None
    ) -> Stored:
        """Set the threshold by target false-alarm rate, or else by value; effective at once.

        Raises:
            UnknownDetectorError, NotFittedError, NotCalibratedError, InvalidSpecError,
            InsufficientCalibrationError, ConflictError
        """
        async with self._writing(name):
            old = (await asyncio.to_thread(self.get, name)).detector
            if target is not None:
                new = old.with_target(target)
            elif value is not None:
                new = old.with_value(value)
            else:
                raise InvalidSpecError("give a target false-alarm rate or a value")
            return await self._put(old, new)

    async def score(self, name: str, sources: Sequence[Source]) -> Scored:
        """Score images; one that cannot be scored has an error in its place.

        Raises:
            UnknownDetectorError, NotFittedError, FingerprintMismatchError, OverloadedError,
            UnavailableError
        """
        detector = await self._usable(name)
        arrivals = await self._ingest.embed_now(sources, detector.spec.image_size)
        results = await self._judge(detector, sources, arrivals)
        for result in results:
            if result.verdict and result.timings:
                self.telemetry.scored(name, result.verdict, result.timings)
        return Scored(name, detector.version, results)

    async def _judge(
        self, detector: Detector, sources: Sequence[Source], arrivals: Sequence[Arrived | Failure]
    ) -> list[Judged]:
        arrived = [item.embedding for item in arrivals if isinstance(item, Arrived)]
        started_s = time.perf_counter()
        verdicts = iter(
            await self._ingest.in_pool(partial(detector.judge, Embedding.concatenate(arrived)))
            if arrived
            else []
        )
        judge_s = (time.perf_counter() - started_s) / max(len(arrived), 1)
        return [
            Judged(
                source.name,
                next(verdicts),
                Timings(item.decode_s, item.queue_s, item.forward_s, judge_s),
            )
            if isinstance(item, Arrived)
            else Judged(source.name, error=item)
            for source, item in zip(sources, arrivals, strict=True)
        ]

    async def _embeddings(
        self,
        detector: Detector,
        sources: Sequence[Source],
        rejected: list[Rejected],
        progress: Progress | None,
    ) -> AsyncIterator[Embedding]:
        """Yield the usable images' embeddings, some dozens at a time; collect the others."""
        ready: list[Embedding] = []
        async for source, outcome in self._ingest.embed_all(sources, detector.spec.image_size):
            if isinstance(outcome, Embedding):
                ready.append(outcome)
            else:
                rejected.append(Rejected(source.name, outcome))
            if progress:
                progress(1)
            if len(ready) == FOLD_IMAGES:
                yield Embedding.concatenate(ready)
                ready.clear()
        if ready:
            yield Embedding.concatenate(ready)

    async def _usable(self, name: str) -> Detector:
        """Return a fitted detector of the backbone that runs; a file may have to be read."""
        detector = (await asyncio.to_thread(self.get, name)).detector
        detector.require_fitted()
        self._check_fingerprint(detector)
        return detector

    def _check_fingerprint(self, detector: Detector) -> None:
        theirs, ours = detector.spec.backbone_fingerprint, self.embedder.fingerprint
        if theirs != ours:
            raise FingerprintMismatchError(
                f"detector {detector.spec.name!r} was fitted on backbone {theirs[:12]}, this "
                f"service runs {ours[:12]}: fit it again with mode=replace"
            )

    async def _put(self, old: Detector, new: Detector) -> Stored:
        return self._show(await asyncio.to_thread(self._storage.put, old, new))

    def _writing(self, name: str) -> asyncio.Lock:
        """Return the lock that keeps changes of one detector in this process in line."""
        return self._locks.setdefault(name, asyncio.Lock())

    def _show(self, stored: Stored) -> Stored:
        self.telemetry.detector(stored.detector)
        return stored


def _require_images(sent: int, rejected: Sequence[Rejected]) -> int:
    """Return how many images could be used. Raises NoImagesError if none could."""
    if len(rejected) < sent:
        return sent - len(rejected)
    first = f"; the first, {rejected[0].name!r}: {rejected[0].error}" if rejected else ""
    raise NoImagesError(f"none of {sent} image(s) could be used{first}")
