"""The use cases: create, fit, calibrate, set a threshold, score; for HTTP and command line."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from app import masks
from app.catalogue import Catalogue
from app.errors import NoImagesError
from app.ingest import Arrived, Failure, Ingest, Look, R
from app.results import Judged, Learned, Rejected, Scored, Timings
from app.settings import Settings
from app.sources import Source, Upload
from app.storage import Storage, Stored
from app.telemetry import Telemetry
from detector import conformal
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import (
    InvalidSpecError,
    MaskMismatchError,
)
from detector.spec import DEFAULT_IMAGE_SIZE
from detector.statistics import Statistics, merge
from detector.verdict import Verdict

FOLD_IMAGES = 64
"""Images whose rows are turned into statistics or scores at once."""

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
        self.catalogue = Catalogue(storage, embedder, telemetry)
        self._storage = storage
        self._ingest = Ingest(settings, embedder, telemetry)
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
        for stored in self.catalogue.all():
            self.catalogue.show(stored)
        self._warm = True

    @property
    def ready(self) -> bool:
        """Whether an image sent now would be scored."""
        return self._warm and self._ingest.batcher.alive

    async def fit(
        self,
        name: str,
        upload: Upload,
        *,
        extend: bool,
        progress: Progress | None = None,
    ) -> Learned:
        """Fit a detector to normal images, in place of or on top of those it knows.

        Raises:
            UnknownDetectorError, NoImagesError, DegenerateDataError, FingerprintMismatchError,
            InvalidMaskError, MaskMismatchError, ConflictError
        """
        async with self.catalogue.writing(name):
            old = base = (await asyncio.to_thread(self.catalogue.get, name)).detector
            if extend and old.statistics:
                self.catalogue.check_fingerprint(old)
            else:  # a fresh fit may move to the backbone that runs now
                ours = self.embedder
                spec = replace(old.spec, backbone=ours.name, backbone_fingerprint=ours.fingerprint)
                base = replace(old, spec=spec)
            look = await self.look(base, upload, fitting=True)
            fitted: Statistics = {}
            rejected: list[Rejected] = []
            async for part in self._embeddings(upload.images, look, rejected, progress):
                new = await self._ingest.in_pool(partial(base.statistics_of, part))
                fitted = await self._ingest.in_pool(partial(merge, fitted, new))
            used = _require_images(len(upload.images), rejected)
            learn = partial(base.learn, fitted, extend=extend)
            return Learned(
                await self.catalogue.put(old, await self._ingest.in_pool(learn)), used, rejected
            )

    async def calibrate(
        self,
        name: str,
        upload: Upload,
        *,
        target: float,
        progress: Progress | None = None,
    ) -> Learned:
        """Score held-out normal images and set the conformal threshold for a false-alarm rate.

        Raises:
            UnknownDetectorError, NotFittedError, NoImagesError, InvalidSpecError,
            InsufficientCalibrationError, FingerprintMismatchError, InvalidMaskError,
            MaskMismatchError, ConflictError
        """
        async with self.catalogue.writing(name):
            old = await self.catalogue.usable(name)
            conformal.rank(len(upload.images), target)  # refuse before the work, not after it
            look = await self.look(old, upload)
            parts: list[np.ndarray] = []
            rejected: list[Rejected] = []
            async for part in self._embeddings(upload.images, look, rejected, progress):
                parts.append(await self._ingest.in_pool(partial(old.contributions, part)))
            used = _require_images(len(upload.images), rejected)
            new = old.calibrate(np.concatenate(parts), target)
            return Learned(await self.catalogue.put(old, new), used, rejected)

    async def set_threshold(
        self, name: str, *, target: float | None = None, value: float | None = None
    ) -> Stored:
        """Set the threshold by target false-alarm rate, or else by value; effective at once.

        Raises:
            UnknownDetectorError, NotFittedError, NotCalibratedError, InvalidSpecError,
            InsufficientCalibrationError, ConflictError
        """
        async with self.catalogue.writing(name):
            old = (await asyncio.to_thread(self.catalogue.get, name)).detector
            if target is not None:
                new = old.with_target(target)
            elif value is not None:
                new = old.with_value(value)
            else:
                raise InvalidSpecError("give a target false-alarm rate or a value")
            return await self.catalogue.put(old, new)

    async def score(self, name: str, upload: Upload) -> Scored:
        """Score images; one that cannot be scored has an error in its place.

        Raises:
            UnknownDetectorError, NotFittedError, FingerprintMismatchError, InvalidMaskError,
            MaskMismatchError, OverloadedError, UnavailableError
        """
        detector, arrivals = await self.embed(name, upload)
        results = await self._judge(detector, upload.images, arrivals)
        for result in results:
            if result.verdict and result.timings:
                self.telemetry.scored(name, result.verdict, result.timings)
        return Scored(name, detector.version, results)

    async def embed(self, name: str, upload: Upload) -> tuple[Detector, list[Arrived | Failure]]:
        """Return a fitted detector, and embedding or failure of every image, in order.

        Raises:
            as ``score``.
        """
        detector = await self.catalogue.usable(name)
        look = await self.look(detector, upload)
        return detector, await self._ingest.embed_now(upload.images, look)

    async def look(self, detector: Detector, upload: Upload, *, fitting: bool = False) -> Look:
        """Return how a detector looks at these images.

        Raises:
            InvalidMaskError: if the mask that was sent cannot be used.
            MaskMismatchError: if a mask was sent and the detector takes none, or the reverse.
        """
        spec, mask = detector.spec, detector.mask
        if (spec.mask == "request") != (upload.mask is not None):
            raise MaskMismatchError(
                f"detector {spec.name!r} was created with mask {spec.mask!r}: "
                + ("send a mask with the images" if spec.mask == "request" else "send no mask")
            )
        if upload.mask is not None:
            read = partial(
                masks.from_upload, upload.mask, max_pixels=self.settings.max_image_pixels
            )
            mask = await self._ingest.in_pool(read)
        return Look(spec.image_size, mask, mirrored=fitting and spec.options.flips)

    async def in_pool(self, call: Callable[[], R]) -> R:
        """Run a call off the event loop."""
        return await self._ingest.in_pool(call)

    async def _judge(
        self, detector: Detector, sources: Sequence[Source], arrivals: Sequence[Arrived | Failure]
    ) -> list[Judged]:
        arrived = [item.embedding for item in arrivals if isinstance(item, Arrived)]
        started_s = time.perf_counter()
        judged: list[Verdict] = []
        for start in range(0, len(arrived), FOLD_IMAGES):  # bounds the memory it takes
            part = arrived[start : start + FOLD_IMAGES]
            judged += await self._ingest.in_pool(partial(_judged, detector, part))
        verdicts = iter(judged)
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
        sources: Sequence[Source],
        look: Look,
        rejected: list[Rejected],
        progress: Progress | None,
    ) -> AsyncIterator[Embedding]:
        """Yield the usable images' embeddings, some dozens at a time; collect the others."""
        ready: list[Embedding] = []
        async for source, outcome in self._ingest.embed_all(sources, look):
            if isinstance(outcome, Embedding):
                ready.append(outcome)
            else:
                rejected.append(Rejected(source.name, outcome))
            if progress:
                progress(1)
            if sum(map(len, ready)) >= FOLD_IMAGES:
                yield Embedding.concatenate(ready)
                ready.clear()
        if ready:
            yield Embedding.concatenate(ready)


def _judged(detector: Detector, embeddings: Sequence[Embedding]) -> list[Verdict]:
    return detector.judge(Embedding.concatenate(embeddings))


def _require_images(sent: int, rejected: Sequence[Rejected]) -> int:
    """Return how many images could be used. Raises NoImagesError if none could."""
    if len(rejected) < sent:
        return sent - len(rejected)
    first = f"; the first, {rejected[0].name!r}: {rejected[0].error}" if rejected else ""
    raise NoImagesError(f"none of {sent} image(s) could be used{first}")
