"""The use cases that read no images or change nothing: score, set a threshold; what runs them all.

Changes by images are in ``app.learning.fitting`` and ``app.learning.calibrating``.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np

from app.catalogue import Catalogue
from app.images import masks
from app.images.sources import Source, Upload
from app.learning.collecting import Collector
from app.lines import Line, decided
from app.past.history import History
from app.results import Judged, Previewed, Scored, Timings
from app.scoring import judging
from app.scoring.ingest import Arrived, Failure, Ingest, Look, R
from app.settings import Settings
from app.storage import Storage
from app.storage.audit import By
from app.storage.row_chunks import RowChunks
from app.storage.serving import Promote
from app.storage.version_reader import Stored
from app.telemetry import Telemetry
from detector import operating_points
from detector.detector import Detector
from detector.embedder import Embedder
from detector.errors import DetectorError, MaskMismatchError
from detector.spec import DEFAULT_IMAGE_SIZE

log = logging.getLogger(__name__)

FOLD_IMAGES = 64
"""Images whose rows are turned into statistics or scores at once."""


class Service:
    """Built once, started in an event loop, stopped at the end (``async with``)."""

    def __init__(
        self, settings: Settings, embedder: Embedder, storage: Storage, telemetry: Telemetry
    ) -> None:
        self.settings = settings
        self.embedder = embedder
        self.telemetry = telemetry
        self.catalogue = Catalogue(storage, embedder, telemetry)
        self.storage = storage
        self.chunks = RowChunks(storage.blobs)
        self.ingest = Ingest(settings, embedder, telemetry)
        self.history = History(settings, storage, telemetry)
        self.collector = Collector(self.ingest, self.chunks)
        self._warm = False

    async def __aenter__(self) -> "Service":
        self.ingest.start()
        self.history.start()
        try:
            await self._warm_up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._warm = False
        await self.ingest.stop()
        await self.history.stop()
        self.storage.close()

    async def _warm_up(self) -> None:
        """Embed one image, so that the first request is not the slow one; show what is stored."""
        side = DEFAULT_IMAGE_SIZE
        for entry in self.catalogue.all():
            self.telemetry.detector(entry)
        await self.in_pool(partial(self.embedder.warm, side))
        blank = self.embedder.prepare(np.zeros((side, side, 3), np.uint8), side)
        await asyncio.gather(*self.ingest.batcher.submit([blank]))
        self._warm = True

    @property
    def ready(self) -> bool:
        """Whether an image sent now would be scored."""
        return self._warm and self.ingest.batcher.alive

    def set_threshold(
        self,
        name: str,
        by: By,
        line: Line,
        *,
        base: int | None = None,
        promote: Promote = "auto",
        allow_stale: bool = False,
    ) -> Stored:
        """Draw the line elsewhere, on what is in service unless told; reads no image.

        Raises:
            UnknownDetectorError, UnknownVersionError, NotFittedError, NotCalibratedError,
            StaleCalibrationError, InvalidSpecError, InsufficientCalibrationError,
            MissingAnomaliesError, ConflictError
        """
        old = self.catalogue.get(name, base)
        new = decided(old.detector, line, allow_stale=allow_stale)
        kept = self.storage.versions.add(
            old, new, "threshold", by, parameters=asdict(line), promote=promote
        )
        return self.catalogue.show(kept)

    def preview(
        self,
        name: str,
        targets: Sequence[float],
        line: Line | None,
        *,
        version: int | None = None,
        allow_stale: bool = False,
    ) -> Previewed:
        """Say what thresholds would do; changes nothing and reads no image.

        Raises:
            UnknownDetectorError, UnknownVersionError, NotFittedError, NotCalibratedError,
            StaleCalibrationError, InvalidSpecError, InsufficientCalibrationError,
            MissingAnomaliesError
        """
        stored = self.catalogue.get(name, version)
        known = stored.detector.require_calibrated()
        if not allow_stale:
            stored.detector.require_fresh()
        points = operating_points.table(known, targets)
        proposed = None if line is None else decided(stored.detector, line, allow_stale=allow_stale)
        return Previewed(stored, points, proposed)

    async def score(
        self,
        name: str,
        upload: Upload,
        *,
        version: int | None = None,
        allow_stale: bool = False,
        group: str = "",
        false_discovery_rate: float | None = None,
    ) -> Scored:
        """Score images; one that cannot be scored has an error in its place.

        Args:
            name: of the detector.
            upload: the images.
            version: that scores; None for the one in service, and its shadow alongside.
            allow_stale: whether a calibration of other moments will do.
            group: lot, session or camera of the images, for a line of its own.
            false_discovery_rate: with one, images are also judged together (Benjamini-Hochberg).

        Raises:
            UnknownDetectorError, UnknownVersionError, NotFittedError, StaleCalibrationError,
            FingerprintMismatchError, InvalidMaskError, MaskMismatchError, OverloadedError,
            UnavailableError
            NotCalibratedError: if images are to be judged together without p-values.
        """
        stored, arrivals = await self.embed(name, upload, version=version, allow_stale=allow_stale)
        detector = stored.detector
        if false_discovery_rate is not None:
            detector.require_calibrated()
        results = await self._judge(stored, upload.images, arrivals, group)
        for result in results:
            if result.verdict and result.timings:
                self.telemetry.scored(name, result.verdict, result.timings)
        if false_discovery_rate is not None:
            results = judging.together(results, false_discovery_rate)
        return Scored(name, detector.version, results)

    async def embed(
        self,
        name: str,
        upload: Upload,
        *,
        version: int | None = None,
        allow_stale: bool = False,
    ) -> tuple[Stored, list[Arrived | Failure]]:
        """Return a fitted detector, and embedding or failure of every image, in order.

        Raises:
            as ``score``.
        """
        stored = await self.catalogue.usable(name, version, allow_stale=allow_stale)
        look = await self.look(stored.detector, upload.mask)
        return stored, await self.ingest.embed_now(upload.images, look)

    async def look(
        self, detector: Detector, mask: "bytes | str | None", *, fitting: bool = False
    ) -> Look:
        """Return how a detector looks at images that came with this mask.

        Raises:
            InvalidMaskError: if the mask that was sent cannot be used.
            MaskMismatchError: if a mask was sent and the detector takes none, or the reverse.
        """
        spec = detector.spec
        if (spec.mask == "request") != (mask is not None):
            raise MaskMismatchError(
                f"detector {spec.name!r} was created with mask {spec.mask!r}: "
                + ("send a mask with the images" if spec.mask == "request" else "send no mask")
            )
        over = detector.mask
        if mask is not None:
            read = partial(masks.from_upload, mask, max_pixels=self.settings.max_image_pixels)
            over = await self.ingest.in_pool(read)
        return Look(spec.image_size, over, mirrored=fitting and spec.options.flips)

    async def in_pool(self, call: Callable[[], R]) -> R:
        """Run a call off the event loop."""
        return await self.ingest.in_pool(call)

    async def _judge(
        self,
        stored: Stored,
        sources: Sequence[Source],
        arrivals: Sequence[Arrived | Failure],
        group: str,
    ) -> list[Judged]:
        shadow = await self._shadow(stored)
        results = [Judged(source.name) for source in sources]
        places = []
        for place, item in enumerate(arrivals):
            if isinstance(item, Arrived):
                places.append((place, item))
            else:
                results[place] = Judged(sources[place].name, error=item)
        for start in range(0, len(places), FOLD_IMAGES):  # bounds the memory it takes
            part = places[start : start + FOLD_IMAGES]
            names = [sources[place].name for place, _ in part]
            started_s = time.perf_counter()
            call = partial(judging.judge, stored, shadow, names, [a for _, a in part], group)
            seen = await self.ingest.in_pool(call)
            judge_s = (time.perf_counter() - started_s) / len(part)
            self.history.note(seen)
            for image, (place, item) in zip(seen.images, part, strict=True):
                timings = Timings(item.decode_s, item.queue_s, item.forward_s, judge_s)
                results[place] = Judged(image.name, image.verdict, timings, id=image.id)
        return results

    async def _shadow(self, stored: Stored) -> Detector | None:
        """Return the version that scores alongside, if one does."""
        entry = stored.entry
        if entry.shadow is None or entry.version.version != entry.in_service:
            return None
        try:
            other = await self.catalogue.usable(entry.name, entry.shadow, allow_stale=True)
        except DetectorError:
            log.exception("the shadow of %r cannot score", entry.name)
            return None
        return other.detector
