"""From a source to what can be embedded: read, decoded and prepared, on the pool or in a lane."""

import hashlib
import math
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

from app.errors import InferenceError
from app.health.heartbeats import Heartbeats
from app.images.sources import Source
from app.scoring.arriving import Decoded, Failure, Look
from app.scoring.batching import Batcher
from app.scoring.pools import Pools
from app.scoring.queue import Prepared
from app.settings import Settings
from app.telemetry import Telemetry
from detector import imaging
from detector.embeds import Embeds
from detector.errors import SampleError

NO_MEMORY = "there is no memory to decode this image now: repeat it later"


class Decoder:
    """Decodes within the limits of the settings, and counts what is rejected."""

    def __init__(
        self,
        settings: Settings,
        embedder: Embeds,
        telemetry: Telemetry,
        heartbeats: Heartbeats,
        pools: Pools,
        batcher: Batcher,
    ) -> None:
        self._limits = settings
        self._embedder = embedder
        self._telemetry = telemetry
        self._heartbeats = heartbeats
        self._pools = pools
        self._batcher = batcher

    async def on_pool(
        self,
        source: Source,
        look: Look,
        deadline_s: float = math.inf,
        turns: AbstractAsyncContextManager[object] | None = None,
    ) -> Decoded | Failure:
        """Return the prepared image, or why there is none; one that waits for its turn is not read.

        Raises:
            OverloadedError: if there is no time left until the deadline.
            UnavailableError: if the service is stopping.
        """
        try:
            async with turns or nullcontext():
                content = await source.read()
                started_s = time.perf_counter()
                prepare = partial(self._prepare, content, look, deadline_s)
                image, sha256 = await self._pools.run(prepare, self._heartbeats.decode)
        except SampleError as error:
            return self.rejected(error)
        except MemoryError:
            return InferenceError(NO_MEMORY)
        return Decoded(image, sha256, time.perf_counter() - started_s)

    def here(self, content: bytes, look: Look, deadline_s: float) -> Decoded:
        """Return the prepared image, made by the thread that asks.

        Raises:
            SampleError: if there is none; it is not counted yet.
            InferenceError: if there is no memory.
            OverloadedError: if there is no time left until the deadline.
        """
        started_s = time.perf_counter()
        try:
            prepare = partial(self._prepare, content, look, deadline_s)
            image, sha256 = self._heartbeats.decode.run(prepare)
        except MemoryError as error:
            raise InferenceError(NO_MEMORY) from error
        return Decoded(image, sha256, time.perf_counter() - started_s)

    def rejected(self, error: SampleError) -> SampleError:
        """Count an image that is none, and return its error."""
        self._telemetry.images_rejected.labels(error.reason).inc()
        return error

    def _prepare(self, content: bytes, look: Look, deadline_s: float) -> tuple[Prepared, str]:
        self._batcher.require_time(deadline_s)  # it may have waited long for this thread
        sha256 = hashlib.sha256(content).hexdigest()
        if look.network is not None:
            return look.network.prepare(content), sha256
        pixels = imaging.decode(
            content,
            max_pixels=self._limits.max_image_pixels,
            min_side=self._limits.min_image_side,
            side_px=look.side_px,
        )
        return self._embedder.prepare(pixels, look.side_px, look.mask), sha256
