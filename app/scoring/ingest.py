"""From sources to embeddings: decoded on a pool or in a lane, embedded through the batcher.

An image that fails (its bytes, or the backbone on it) yields its error in its own place; the
others go on. ``embed_now`` is for scoring: admitted whole or refused; so is ``embed_through``, by
which one image goes all the way at once. ``embed_all`` is for fitting: a stream of any length in
bounded memory, on half of the decode threads at most.
"""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from app.errors import InferenceError, OverloadedError
from app.health.heartbeats import Heartbeats, Stage
from app.images.sources import Source, from_bytes
from app.scoring.admission import Admission
from app.scoring.arriving import Arrived, Decoded, Failure, Look
from app.scoring.batching import Batcher
from app.scoring.decoding import Decoder
from app.scoring.pools import Pools
from app.scoring.queue import Embedded, Prepared
from app.settings import Settings
from app.telemetry import Telemetry
from app.unbroken import together
from detector.embedding import Embedding, mirrored
from detector.embeds import Embeds
from detector.errors import DetectorError, SampleError

R = TypeVar("R")
LARGE_BYTES = 2**22
"""Of a file that may take long to decode."""


class Ingest:
    """The pools, and the batcher behind them."""

    def __init__(
        self,
        settings: Settings,
        embedder: Embeds,
        telemetry: Telemetry,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self._heartbeats = heartbeats or Heartbeats()
        max_batch = settings.max_batch or embedder.best_batch
        self.batcher = Batcher(
            embedder,
            telemetry,
            max_batch=max_batch,
            max_queue=settings.queue_images,
            heartbeats=self._heartbeats,
        )
        at_once = embedder.lanes * max_batch
        self._window = 2 * at_once
        self.admission = Admission(
            telemetry,
            images=settings.queue_images + at_once,
            total_bytes=settings.queue_bytes,
            seconds=settings.queue_seconds,
            enough=(2 if embedder.shares_cores else 4) * at_once,
        )
        self._settings = settings
        self._embedder = embedder
        self._pools = Pools(settings.decode_threads, self._heartbeats, self.batcher)
        self._decoder = Decoder(
            settings, embedder, telemetry, self._heartbeats, self._pools, self.batcher
        )
        self._fitting = asyncio.Semaphore(self._pools.half)

    @property
    def threads(self) -> int:
        """How many decode and judge."""
        return self._settings.decode_threads

    def start(self) -> None:
        """Begin to embed."""
        self.batcher.start()

    async def stop(self) -> None:
        """Stop the batcher, then the pool."""
        self._pools.stopping = True
        await self.batcher.stop()
        self._pools.shut_down()

    async def in_pool(self, call: Callable[[], R], stage: Stage | None = None) -> R:
        """Run a call off the event loop: on the pool of its stage, which is learning unless told.

        Raises:
            UnavailableError: if the pool takes no more work.
        """
        return await self._pools.run(call, stage)

    async def judged(self, call: Callable[[], R]) -> R:
        """Judge, or look at what came with images to be scored, as ``in_pool``."""
        return await self._pools.run(call, self._heartbeats.judge)

    async def embed_now(
        self, sources: Sequence[Source], look: Look, deadline_s: float = math.inf
    ) -> list[Arrived | Failure]:
        """Return embedding or failure of every source, in order.

        Raises:
            OverloadedError: if there is no room for all of them in the queue, or no time until
                the deadline (of ``time.perf_counter``).
            UnavailableError: if the service is starting or stopping.
        """
        self.batcher.require_room(len(sources), deadline_s)
        # One request does not fill the pool's line, or an image of another would stand behind all.
        turns = asyncio.Semaphore(self._settings.decode_threads)
        tasks = (self._decoder.on_pool(source, look, deadline_s, turns) for source in sources)
        decoded = await together(tasks)
        usable = [item for item in decoded if isinstance(item, Decoded)]
        images = [item.image for item in usable]
        futures = self.batcher.submit(images, deadline_s, look.embeds)
        waits = [
            self._arrival(future, item, look) for future, item in zip(futures, usable, strict=True)
        ]
        arrivals = iter(await together(waits))
        return [next(arrivals) if isinstance(item, Decoded) else item for item in decoded]

    def goes_through(self, sources: Sequence[Source], look: Look) -> bool:
        """Whether ``embed_through`` takes these: a lone image, where lanes are the cores.

        The pool's threads are the same cores: there it would be decoded and judged no sooner, wait
        for a thread three times, and leave the caches in between.
        """
        return len(sources) == 1 and look.network is None and self._embedder.shares_cores

    async def embed_through(
        self, source: Source, look: Look, then: Callable[[Arrived], R], deadline_s: float = math.inf
    ) -> tuple[Arrived, R] | Failure:
        """Return what ``embed_now`` does of one image, and what is made of it then.

        The lane that embeds it decodes it before, unless it is large, and makes ``then`` of it.

        Raises:
            as ``embed_now``, and what ``then`` raises.
        """
        self.batcher.require_room(1, deadline_s)
        stages = self._heartbeats
        try:
            content = await source.read()
        except SampleError as error:
            return self._decoder.rejected(error)
        decoded: list[Decoded] = []
        found = None
        if len(content) > LARGE_BYTES:  # on the pool it keeps nobody waiting for the lane
            large = from_bytes(source.name, content)
            found = await self._decoder.on_pool(large, look, deadline_s)
            if not isinstance(found, Decoded):
                return found
            decoded.append(found)

        def prepare() -> Prepared:
            if not decoded:
                decoded.append(self._decoder.here(content, look, deadline_s))
            return decoded[0].image

        def judged(embedded: Embedded) -> tuple[Arrived, R]:
            own = embedded.queue_s if found is not None else embedded.queue_s - decoded[0].decode_s
            arrived = decoded[0].arrived(replace(embedded, queue_s=max(own, 0.0)))
            return arrived, stages.judge.run(partial(then, arrived))

        try:
            through = await self.batcher.submit_whole(prepare, judged, deadline_s)
        except SampleError as error:
            return self._decoder.rejected(error)
        except InferenceError as error:
            stages.doubt()
            return error
        except DetectorError:
            raise
        except Exception:
            stages.doubt()
            raise
        stages.proved()
        return through

    async def embed_all(
        self, sources: Sequence[Source], look: Look
    ) -> AsyncIterator[tuple[Source, Embedding | Failure]]:
        """Yield every source with the embedding of its views, or its failure, in order.

        A window of images is under way at once, so that decoding and embedding overlap.

        Raises:
            UnavailableError: if the service is stopping.
        """
        window: deque[tuple[Source, asyncio.Task[Embedding | Failure]]] = deque()
        remaining = iter(sources)
        try:
            while True:
                while len(window) < self._window:
                    source = next(remaining, None)
                    if source is None:
                        break
                    task = asyncio.create_task(self._embed_when_room(source, look))
                    window.append((source, task))
                if not window:
                    return
                source, task = window[0]
                outcome = await task
                window.popleft()
                yield source, outcome
        finally:
            for _, task in window:
                task.cancel()
            await asyncio.gather(*(task for _, task in window), return_exceptions=True)

    async def _embed_when_room(self, source: Source, look: Look) -> Embedding | Failure:
        item = await self._decoder.on_pool(source, look, turns=self._fitting)
        if not isinstance(item, Decoded):
            return item
        views = mirrored(item.image) if look.mirrored else [item.image]
        while True:
            futures = [await self.batcher.submit_when_room(view, look.embeds) for view in views]
            try:
                arrivals = await together(self._arrival(future, item, look) for future in futures)
                break
            except OverloadedError as error:  # no memory just now, or no engine yet
                await asyncio.sleep(error.retry_after_s)
        arrived = [each.embedding for each in arrivals if isinstance(each, Arrived)]
        failed = [each for each in arrivals if not isinstance(each, Arrived)]
        return failed[0] if failed else Embedding.concatenate(arrived)

    async def _arrival(
        self, future: "asyncio.Future[Embedded]", item: Decoded, look: Look
    ) -> Arrived | InferenceError:
        try:
            embedded = await future
        except InferenceError as error:
            self._heartbeats.doubt()
            return error
        if look.network is None:  # another network says nothing of the backbone
            self._heartbeats.proved()
        return item.arrived(embedded)
