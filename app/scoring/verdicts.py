"""From embeddings to answers: judged beside the shadow, noted for replay and review, counted."""

import logging
import time
from collections.abc import Sequence
from functools import partial

from app.catalogue import Catalogue
from app.images.sources import Source
from app.monitoring.watch import Watch
from app.past.history import History
from app.results import Judged, Scored, Timings
from app.scoring import judging
from app.scoring.ingest import Arrived, Failure, Ingest
from app.storage.version_reader import Stored
from app.telemetry import Telemetry
from detector.detector import Detector
from detector.errors import DetectorError

log = logging.getLogger(__name__)

FOLD_IMAGES = 64
"""Images whose rows are turned into scores at once."""


class Verdicts:
    """What every route that scores ends in; used in the event loop."""

    def __init__(
        self,
        catalogue: Catalogue,
        ingest: Ingest,
        history: History,
        drift: Watch,
        telemetry: Telemetry,
    ) -> None:
        self._catalogue = catalogue
        self._ingest = ingest
        self._history = history
        self._drift = drift
        self._telemetry = telemetry

    async def of(
        self,
        stored: Stored,
        sources: Sequence[Source],
        arrivals: Sequence[Arrived | Failure],
        *,
        group: str = "",
        false_discovery_rate: float | None = None,
    ) -> Scored:
        """Return what a detector says of images that were embedded, or failed, in their order.

        Raises:
            NotCalibratedError: if images are to be judged together without p-values.
        """
        detector, name = stored.detector, stored.entry.name
        if false_discovery_rate is not None:
            detector.require_calibrated()
        results = await self._judge(stored, sources, arrivals, group)
        for result in results:
            if result.verdict and result.timings:
                self._telemetry.scored(name, result.verdict, result.timings, result.id)
        if false_discovery_rate is not None:
            results = judging.together(results, false_discovery_rate)
        return Scored(name, detector.version, results)

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
            seen = await self._ingest.judged(call)
            judge_s = (time.perf_counter() - started_s) / len(part)
            self._history.note(seen)
            self._drift.note(seen)
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
            other = await self._catalogue.usable(entry.name, entry.shadow, allow_stale=True)
        except DetectorError:
            log.exception("the shadow of %r cannot score", entry.name)
            return None
        ours, theirs = (each.detector.spec.backbone_fingerprint for each in (stored, other))
        return other.detector if ours == theirs else None  # since it was made the shadow
