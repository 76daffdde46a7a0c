"""Many awaiting callers, one device: images are embedded in batches, one in each of its lanes.

Work-conserving: whenever a lane is free and an image waits, a batch starts; it never sleeps to
wait for company. A batch that fails is halved until only the culprits fail; one that does not fit
into the device's memory makes those after it smaller, too. Scoring is admitted whole or refused at
once, also if its deadline cannot be kept; fitting waits for room. If the device is lost, or the
loop itself fails, everybody who waits is told, and then whoever can end the process.
"""

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from app.errors import InferenceError, OverloadedError, UnavailableError
from app.health.heartbeats import Heartbeats
from app.priority import give_way
from app.scoring.pace import Pace
from app.scoring.queue import Embedded, Item, Prepared, Queue
from app.telemetry import Telemetry
from detector.embedding import Embedding
from detector.embeds import Embeds
from detector.errors import (
    DeviceLostError,
    DeviceMemoryError,
    EngineNotReadyError,
    FingerprintMismatchError,
)

log = logging.getLogger(__name__)

READY_S = 30
"""After how long an engine that is being made ready may be asked again."""


class Batcher:
    """The queue in front of an embedder; ``start`` it in the event loop that will use it."""

    def __init__(
        self,
        embedder: Embeds,
        telemetry: Telemetry,
        *,
        max_batch: int,
        max_queue: int,
        heartbeats: Heartbeats | None = None,
    ) -> None:
        self.on_fatal: Callable[[], None] = lambda: None
        """Called once if nothing can be embedded any more: only another process can."""
        self._embedder = embedder
        self._telemetry = telemetry
        self._lanes = embedder.lanes
        self._heartbeats = heartbeats or Heartbeats()
        self._pace = Pace(max_batch, self._lanes)
        self._queue = Queue(max_queue)
        self._under_way: dict[int, list[Item]] = {}
        """What each lane that is at work works on."""
        telemetry.queue_images.set_function(self._queue.__len__)  # as it is when it is asked for
        self._device = ThreadPoolExecutor(self._lanes, thread_name_prefix="device")
        # Fitting takes what scoring leaves it of the cores, too.
        self._idle = ThreadPoolExecutor(
            self._lanes, thread_name_prefix="idle-device", initializer=give_way
        )
        self._worker: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether images that are submitted now will be embedded."""
        return self._worker is not None and not self._worker.done()

    def start(self) -> None:
        """Begin to embed."""
        self._worker = asyncio.create_task(self._run(), name="batcher")

    async def stop(self) -> None:
        """Stop; whoever still waits gets an UnavailableError."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        self._fail_all("the service is stopping")
        self._device.shutdown(wait=True)
        self._idle.shutdown(wait=True)

    def submit(
        self,
        images: Sequence[Prepared],
        deadline_s: float = math.inf,
        embeds: Embeds | None = None,
    ) -> "list[asyncio.Future[Embedded]]":
        """Queue all images or none; return one future per image.

        Args:
            images: prepared.
            embeds: what embeds them; None for the batcher's own.
            deadline_s: of ``time.perf_counter``; an image whose turn comes later is not embedded,
                its future has an OverloadedError.

        Raises:
            OverloadedError: if there is no room for all of them, or no time.
            UnavailableError: if the batcher does not run.
        """
        self.require_room(len(images), deadline_s)
        embeds = embeds or self._embedder
        items = [Item(image, embeds, _future(), deadline_s) for image in images]
        self._queue.put(items)
        return [item.future for item in items]

    def require_room(self, images: int, deadline_s: float = math.inf) -> None:
        """Refuse work that could not be done now, before effort is spent on it.

        Raises:
            OverloadedError: if there is no room for so many images, or no time until the deadline.
            UnavailableError: if the batcher does not run.
        """
        self._require_alive()
        room = self._queue.room
        if images > room:
            raise self._refusal(
                "overload",
                f"{images} image(s) for {room} free place(s) in the queue: repeat the request "
                "later",
                images,
            )
        self.require_time(deadline_s, images)
        ahead = self._ahead
        # A device that nobody waits for is always tried: from nothing else could it be learned
        # that it is faster than it was.
        takes_s, left_s = self._pace.seconds(ahead + images), deadline_s - time.perf_counter()
        if ahead and takes_s > left_s:
            raise self._refusal(
                "deadline",
                f"{images} image(s) behind {ahead} would take {takes_s:.2f} s and have "
                f"{left_s:.2f} s: repeat the request later, or give it more time",
                images,
            )

    def require_time(self, deadline_s: float, images: int = 1) -> None:
        """Raise OverloadedError if the time of images is up; may be called on any thread."""
        if time.perf_counter() > deadline_s:
            text = "the request's time was up before its turn came: repeat it later"
            raise self._refusal("deadline", text, images)

    async def submit_when_room(
        self, image: Prepared, embeds: Embeds | None = None
    ) -> "asyncio.Future[Embedded]":
        """Queue one image behind those that are scored, as soon as there is room.

        Raises:
            UnavailableError: if the batcher does not run.
        """
        self._require_alive()
        item = Item(image, embeds or self._embedder, _future(), fits=True)
        await self._queue.put_when_room(item)
        return item.future

    def _require_alive(self) -> None:
        if not self.alive:
            raise UnavailableError("the service is starting or stopping")

    @property
    def waiting(self) -> int:
        """Images whose turn has not come."""
        return len(self._queue)

    @property
    def under_way(self) -> int:
        """Images that are being embedded."""
        return sum(map(len, self._under_way.values()))

    @property
    def _ahead(self) -> int:
        """Images that are embedded before one that is submitted now to be scored."""
        return self._queue.scoring + self.under_way

    def _refusal(self, reason: str, text: str, images: int = 1) -> OverloadedError:
        self._telemetry.images_rejected.labels(reason).inc(images)
        return OverloadedError(text, max(1, math.ceil(self._pace.seconds(self._ahead))))

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as lanes:
                for lane in range(self._lanes):
                    lanes.create_task(self._embed_for_ever(lane), name=f"lane {lane}")
        except Exception:
            log.critical("nothing can be embedded any more", exc_info=True)
            self._heartbeats.died("device", "nothing can be embedded any more")
            self._fail_all("the device failed: the service has to be started again")
            self.on_fatal()
        finally:  # cancelled, or by what ends the process
            self._fail_all("the service is stopping")

    async def _embed_for_ever(self, lane: int) -> None:
        """Form a batch when the lane is free, not while it works on the one before.

        To form one is to pick some references; the copying is the embedder's: ``np.stack`` takes
        0.1 ms for 4 images and 0.3 ms for 32, a pass on a CPU some 10 ms an image. Picked earlier,
        a batch would be without those who came meanwhile: smaller, and later for them.
        """
        while True:
            batch = await self._queue.take(self._share, self._is_wanted)
            self._under_way[lane] = batch
            has_followers = len(self._queue) > 0
            started_s = time.perf_counter()
            for _, group in itertools.groupby(sorted(batch, key=Item.alike), key=Item.alike):
                await self._embed(list(group))
            del self._under_way[lane]
            took_s = time.perf_counter() - started_s
            self._pace.took(len(batch), took_s, followed=has_followers)

    def _share(self) -> int:
        """Return how many of those who wait a free lane takes: no more than leaves others idle."""
        free = self._lanes - len(self._under_way)
        return min(self._pace.most, max(1, math.ceil(len(self._queue) / free)))

    def _is_wanted(self, item: Item) -> bool:
        try:
            self.require_time(item.deadline_s)
        except OverloadedError as error:
            item.fail(error)
        return not item.future.done()  # late, or its caller has gone

    async def _embed(self, items: list[Item]) -> None:
        """Embed images that are alike and resolve their futures; halves of them if that fails.

        One culprit among n costs 2 log2(n) more passes.

        Raises:
            DeviceLostError
        """
        images = [item.image for item in items]
        started_s = time.perf_counter()
        # Outside of the try: a thread that takes no more work is no fault of these images.
        threads = self._idle if items[0].fits else self._device
        call = asyncio.get_running_loop().run_in_executor(
            threads, self._heartbeats.device.run, partial(_embed_each, items[0].embeds, images)
        )
        try:
            embeddings = await call
            forward_s = time.perf_counter() - started_s
            results = [
                Embedded(embedding, started_s - item.entered_s, forward_s)
                for embedding, item in zip(embeddings, items, strict=True)
            ]
        except DeviceLostError:
            raise
        # Of devices elsewhere: they have no place for any, or are others than they were.
        except (OverloadedError, FingerprintMismatchError) as error:
            for item in items:
                item.fail(error)
            return
        except Exception as error:
            if isinstance(error, DeviceMemoryError):
                self._pace.ran_out(len(items))
            if len(items) == 1:
                items[0].fail(self._failure(error))
                return
        else:
            self._pace.passed()
            self._telemetry.batch_images.observe(len(items))
            for item, result in zip(items, results, strict=True):
                if not item.future.done():
                    item.future.set_result(result)
            return
        middle = len(items) // 2
        await self._embed(items[:middle])
        await self._embed(items[middle:])

    def _failure(self, error: Exception) -> Exception:
        """Return what the caller is told of an image that failed alone."""
        if isinstance(error, DeviceMemoryError):  # no fault of the image: all are of one size
            text = "the device has no memory for even one image now: repeat the request later"
            return self._refusal("memory", text)
        if isinstance(error, EngineNotReadyError):
            return OverloadedError(str(error), READY_S)
        log.error("the backbone failed on an image", exc_info=error)
        failure = InferenceError("the backbone failed on this image")
        failure.__cause__ = error
        return failure

    def _fail_all(self, text: str) -> None:
        under_way = itertools.chain.from_iterable(self._under_way.values())
        for item in (*under_way, *self._queue.close()):
            item.fail(UnavailableError(text))
        self._under_way = {}


def _future() -> "asyncio.Future[Embedded]":
    return asyncio.get_running_loop().create_future()


def _embed_each(embeds: Embeds, images: list[Prepared]) -> list[Embedding]:
    """Return every image's embedding; taken apart here, too, for the loop has enough to do."""
    embedding = embeds.embed(images)
    return [embedding.image(index) for index in range(len(images))]
