"""What was scored is kept in the background, some dozens of images at a time.

Scoring waits for none of it: notes gather in a bounded buffer, one task writes them for replay and
review, and what cannot be kept is counted and given up. Shadows are counted on the same way.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

from app.clock import now
from app.errors import StorageUnavailableError
from app.health.heartbeats import Heartbeats
from app.scoring.judging import Seen
from app.settings import Settings
from app.storage import Storage
from app.storage.history import KeptHistory, ScoredImage
from app.storage.shadows import Agreement, Shadows
from app.telemetry import Telemetry
from app.within import within
from detector.rows import Rows

log = logging.getLogger(__name__)

CHUNK_IMAGES = 64
"""Most images of a chunk; so many of one version are written at once."""
GATHER_S = 1.0
"""How long fewer wait for others."""
WAITING_IMAGES = 1024
"""Most images that wait to be written, some 100 MB of rows; beyond it they are given up."""
TIDY_S = 3600.0
"""How often what is too old is removed while nothing is scored."""
COMPLAIN_S = 60.0


class History:
    """Takes notes of scored images; used in the event loop only."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        telemetry: Telemetry | None = None,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self._heartbeats = heartbeats or Heartbeats()
        self.kept = KeptHistory(storage.database, storage.blobs)
        self.shadows = Shadows(storage.database)
        self._most_bytes = settings.history_bytes
        self._most_age = timedelta(days=settings.history_days)
        self._telemetry = telemetry or Telemetry()
        self._waiting: list[Seen] = []
        self._images = 0
        self._alike: Counter[tuple[str, int]] = Counter()  # of those that wait, by version
        self._counted: dict[tuple[str, int, int], Agreement] = {}
        self._some, self._many = asyncio.Event(), asyncio.Event()
        self._writing = asyncio.Lock()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._complained_s = -COMPLAIN_S

    def start(self) -> None:
        """Begin to keep."""
        self._task = asyncio.create_task(self._work(), name="history")
        self._heartbeats.watch(self._task, "history")

    async def stop(self) -> None:
        """Keep what is left."""
        self._stopping = True
        self._some.set()
        self._many.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)  # it has told if it died

    def note(self, seen: Seen) -> None:
        """Take notes, to be kept soon: at most ``CHUNK_IMAGES`` images."""
        self._compare(seen)
        if self._most_bytes and self._images + len(seen.images) > WAITING_IMAGES:
            self._give_up(len(seen.images), "images are scored faster than they can be kept")
        elif self._most_bytes:
            self._waiting.append(seen)
            self._images += len(seen.images)
            self._alike[_version(seen)] += len(seen.images)
            if self._alike[_version(seen)] >= CHUNK_IMAGES:
                self._many.set()
        if self._waiting or self._counted:
            self._some.set()

    async def flush(self) -> None:
        """Keep all that was noted up to now."""
        async with self._writing:
            waiting, self._waiting = self._waiting, []
            counted, self._counted = self._counted, {}
            self._alike.clear()
            self._many.clear()
            try:
                with self._heartbeats.history.call():
                    await asyncio.to_thread(self._keep, waiting, list(counted.values()))
            finally:
                self._images -= sum(len(seen.images) for seen in waiting)

    async def _work(self) -> None:
        while not self._stopping:
            noted = await within(TIDY_S, self._some)
            if noted:
                await within(GATHER_S, self._many)
                self._some.clear()
                await self.flush()
            else:
                await asyncio.to_thread(self._trim)
        await self.flush()

    def _compare(self, seen: Seen) -> None:
        """Count how often the shadow agreed, where both versions have a threshold."""
        entry = seen.stored.entry
        pairs = [
            (image.verdict.flagged, image.shadow.flagged)
            for image in seen.images
            if image.shadow is not None
            and None not in (image.verdict.flagged, image.shadow.flagged)
        ]
        if seen.shadow is None or not pairs:
            return
        only_service = sum(bool(one and not other) for one, other in pairs)
        only_shadow = sum(bool(other and not one) for one, other in pairs)
        agreed = len(pairs) - only_service - only_shadow
        key = (entry.id, entry.version.version, seen.shadow)
        new = Agreement(*key, agreed, only_service, only_shadow, seen.at, seen.at)
        self._counted[key] = self._counted[key] + new if key in self._counted else new
        for side, count in (("service", only_service), ("shadow", only_shadow)):
            self._telemetry.shadow_disagreements.labels(entry.name, side).inc(count)

    def _keep(self, waiting: Sequence[Seen], counted: Sequence[Agreement]) -> None:
        """Write; what fails is given up, for scoring goes on without it."""
        try:
            self.shadows.add(counted)
        except Exception as error:
            self._give_up(0, "agreement with shadows cannot be kept", error)
        for part in _chunks(waiting):
            self._keep_part(part)
        if waiting:
            self._trim()

    def _keep_part(self, part: Sequence[Seen]) -> None:
        """Write a chunk; if that fails, what of it can be kept alone."""
        try:
            self._write(part)
        except Exception as error:
            store_fails = isinstance(error, StorageUnavailableError | OSError)
            if store_fails or len(part) == 1:
                images = sum(len(seen.images) for seen in part)
                self._give_up(images, "what was scored cannot be kept", error)
                return
            for seen in part:
                self._keep_part([seen])

    def _write(self, part: Sequence[Seen]) -> None:
        stored = part[0].stored
        images = [image for seen in part for image in _said(seen)]
        rows = Rows.concatenate([seen.rows for seen in part])
        self.kept.write(stored.detector.spec.backbone_fingerprint, images, rows)

    def _trim(self) -> None:
        try:
            self.kept.trim(self._most_bytes, now() - self._most_age)
        except Exception as error:
            self._give_up(0, "what is too old or too much cannot be removed", error)

    def _give_up(self, images: int, why: str, error: Exception | None = None) -> None:
        """Count images that are not kept, and say so, but not for every one of them."""
        self._telemetry.history_dropped.inc(images)
        moment_s = time.monotonic()
        if moment_s - self._complained_s >= COMPLAIN_S:
            self._complained_s = moment_s
            log.error("%s; gatewatch_history_dropped_images_total counts on", why, exc_info=error)


def _version(seen: Seen) -> tuple[str, int]:
    return seen.stored.entry.id, seen.stored.detector.version


def _chunks(waiting: Sequence[Seen]) -> Iterator[list[Seen]]:
    """Yield what belongs into one chunk: of one version, in order, ``CHUNK_IMAGES`` at most."""
    for _, same in groupby(sorted(waiting, key=_version), key=_version):  # stable: in order
        part: list[Seen] = []
        images = 0
        for seen in same:
            images += len(seen.images)
            if part and images > CHUNK_IMAGES:
                yield part
                part, images = [], len(seen.images)
            part.append(seen)
        yield part


def _said(seen: Seen) -> Iterator[ScoredImage]:
    for image in seen.images:
        verdict = image.verdict
        yield ScoredImage(
            image.id,
            seen.stored.entry.id,
            seen.stored.detector.version,
            seen.at,
            _text(image.name),
            seen.group,
            image.sha256,
            verdict.score,
            verdict.threshold,
            verdict.p_value,
            verdict.word,
            chunk="",
            row=0,
        )


def _text(name: str) -> str:
    """Return a name that any database takes: no zero byte, no half of a surrogate pair."""
    return name.replace("\0", "").encode(errors="replace").decode()
