"""The use cases that read no images or change nothing: score, set a threshold; what runs them all.

Changes by images are in ``app.learning.fitting`` and ``app.learning.calibrating``.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial

from app.catalogue import Catalogue
from app.health.canary import Canary
from app.health.heartbeats import Heartbeats
from app.health.state import Health
from app.images import masks
from app.images.sources import Upload
from app.learning.collecting import Collector
from app.lines import Line, decided
from app.monitoring.watch import Watch
from app.past.history import History
from app.past.traffic import TrafficCounts
from app.results import CalibrationHistogram, Previewed, Scored
from app.scoring.arriving import Arrived, Failure, Look
from app.scoring.ingest import Ingest, R
from app.scoring.locating import asked_of, with_places
from app.scoring.looking import look_of
from app.scoring.networks import Networks
from app.scoring.verdicts import Verdicts
from app.settings import Settings
from app.storage import Storage
from app.storage.audit import By
from app.storage.cache import Cache
from app.storage.row_chunks import RowChunks
from app.storage.serving import Promote
from app.storage.version_reader import Stored
from app.telemetry import Telemetry
from detector import operating_points
from detector.detector import Detector
from detector.drift.power import Power
from detector.embeds import Embeds
from detector.histogram import histogram
from detector.spec import DEFAULT_IMAGE_SIZE

POWERS = 256
"""Simulations of how soon drift would be seen that are kept at hand."""


class Service:
    """Built once, started in an event loop, stopped at the end (``async with``)."""

    def __init__(
        self, settings: Settings, embedder: Embeds, storage: Storage, telemetry: Telemetry
    ) -> None:
        self.settings = settings
        self.embedder = embedder
        self.telemetry = telemetry
        self.catalogue = Catalogue(storage, embedder, telemetry)
        self.networks = Networks(settings.device, settings.cached_detectors)
        self.storage = storage
        self.chunks = RowChunks(storage.blobs)
        self.heartbeats = Heartbeats(telemetry)
        self.ingest = Ingest(settings, embedder, telemetry, self.heartbeats)
        self.history = History(settings, storage, telemetry, self.heartbeats)
        self.drift = Watch(settings, storage, telemetry, self.heartbeats, embedder.channels)
        self.traffic = TrafficCounts(settings, storage)
        self.powers: Cache[Power] = Cache(POWERS)
        self.verdicts = Verdicts(self.catalogue, self.ingest, self.history, self.drift, telemetry)
        self.collector = Collector(self.ingest, self.chunks)
        canary = Canary(settings, self.catalogue, self.ingest, self.heartbeats)
        self.health = Health(self.heartbeats, canary, settings.health_seconds, self._is_embedding)

    async def __aenter__(self) -> "Service":
        self.ingest.start()
        self.history.start()
        self.drift.start()
        try:
            await self._warm_up()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.health.warm = False
        await self.ingest.stop()
        await self.history.stop()
        await self.drift.stop()
        await self.catalogue.stop()
        self.storage.close()

    async def _warm_up(self) -> None:
        """Embed one image, so that the first request is not the slow one; show what is stored."""
        for entry in self.catalogue.all():
            self.telemetry.detector(entry)
        self.embedder.warm(DEFAULT_IMAGE_SIZE)
        await self.health.warm_up()

    def _is_embedding(self) -> bool:
        return self.ingest.batcher.alive

    @property
    def ready(self) -> bool:
        """Whether an image sent now would be scored."""
        return not self.health.why_not_ready()

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

    def calibration_scores(
        self, name: str, bins: int, *, version: int | None = None, allow_stale: bool = False
    ) -> CalibrationHistogram:
        """Count the scores that a threshold is chosen from, in bins of equal width.

        Raises:
            UnknownDetectorError, UnknownVersionError, NotCalibratedError, StaleCalibrationError
        """
        stored = self.catalogue.get(name, version)
        known, line = stored.detector.require_calibrated(), stored.detector.threshold
        if not allow_stale:
            stored.detector.require_fresh()
        found = histogram(known, line.value if line else None, bins)
        return CalibrationHistogram(stored, found)

    async def score(
        self,
        name: str,
        upload: Upload,
        *,
        version: int | None = None,
        allow_stale: bool = False,
        group: str = "",
        false_discovery_rate: float | None = None,
        places: bool | None = None,
    ) -> Scored:
        """Score images; one that cannot be scored has an error in its place.

        Args:
            name: of the detector.
            upload: the images.
            version: that scores; None for the one in service, and its shadow alongside.
            allow_stale: whether a calibration of other moments will do.
            group: lot, session or camera of the images, for a line of its own.
            false_discovery_rate: with one, images are also judged together (Benjamini-Hochberg).
            places: whether it is told where scores come from; None if the kind is to decide.

        Raises:
            UnknownDetectorError, UnknownVersionError, NotFittedError, StaleCalibrationError,
            FingerprintMismatchError, InvalidMaskError, MaskMismatchError, OverloadedError,
            UnavailableError
            NotCalibratedError: if images are to be judged together without p-values.
            NoMapError, TooManyImagesError: if places are asked for and cannot be told.
        """
        images = upload.images
        stored = await self.catalogue.usable(name, version, allow_stale=allow_stale)
        network = await asked_of(self.networks, stored.detector, len(images), asked=places)
        look = await self.look(stored.detector, upload.mask)
        scored = await self.verdicts.score(
            stored,
            images,
            look,
            upload.deadline_s,
            group=group,
            false_discovery_rate=false_discovery_rate,
        )
        return await with_places(self.ingest, network, stored, images, scored)

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
        return stored, await self.ingest.embed_now(upload.images, look, upload.deadline_s)

    async def look(
        self, detector: Detector, mask: "bytes | str | None", *, fitting: bool = False
    ) -> Look:
        """Return how a detector looks at images that came with this mask.

        Raises:
            InvalidMaskError: if the mask that was sent cannot be used.
            MaskMismatchError: if a mask was sent and the detector takes none, or the reverse.
        """
        return await self.look_with(detector, await self.read_mask(mask), fitting=fitting)

    async def look_with(
        self, detector: Detector, mask: "masks.Mask | None", *, fitting: bool = False
    ) -> Look:
        """Return how a detector looks at images, of a mask that was read. Raises as ``look``."""
        network = await self.networks.of(detector)
        return look_of(detector, mask, fitting=fitting, network=network)

    async def read_mask(self, mask: "bytes | str | None") -> "masks.Mask | None":
        """Return the mask that came with images, read, or None if none came.

        Raises:
            InvalidMaskError: if it cannot be used.
        """
        if mask is None:
            return None
        return await self.ingest.judged(
            partial(masks.from_upload, mask, max_pixels=self.settings.max_image_pixels)
        )

    async def in_pool(self, call: Callable[[], R]) -> R:
        """Run a call of learning off the event loop."""
        return await self.ingest.in_pool(call)
