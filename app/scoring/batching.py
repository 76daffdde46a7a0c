"""Many awaiting callers, one device: images are embedded in batches on one thread.

Work-conserving: whenever the device is free and an image waits, a batch starts; it never sleeps to
wait for company. A batch that fails is repeated image by image, so that only the culprit fails.
Scoring is admitted whole or refused at once; fitting waits for room. The loop outlives every
failure.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.errors import InferenceError, OverloadedError, UnavailableError
from app.telemetry import Telemetry
from detector.embedder import Embedder
from detector.embedding import Embedding

log = logging.getLogger(__name__)

Prepared = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedding of one image and how long it took, in seconds."""

    embedding: Embedding
    queue_s: float
    forward_s: float


@dataclass(slots=True)
class _Item:
    image: Prepared
    future: "asyncio.Future[Embedded]"
    entered_s: float = field(default_factory=time.perf_counter)


class Batcher:
    """The queue in front of an embedder; ``start`` it in the event loop that will use it."""

    def __init__(
        self, embedder: Embedder, telemetry: Telemetry, *, max_batch: int, max_queue: int
    ) -> None:
        self._embedder = embedder
        self._telemetry = telemetry
        self._max_batch = max_batch
        self._queue: asyncio.Queue[_Item] = asyncio.Queue(max_queue)
        telemetry.queue_images.set_function(self._queue.qsize)  # as it is when it is asked for
        self._device = ThreadPoolExecutor(1, thread_name_prefix="device")
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
        while not self._queue.empty():
            self._fail([self._queue.get_nowait()], UnavailableError("the service is stopping"))
            await asyncio.sleep(0)  # whoever waited for room takes the free place
        self._device.shutdown(wait=True)

    def submit(self, images: Sequence[Prepared]) -> "list[asyncio.Future[Embedded]]":
        """Queue all images or none; return one future per image.

        Raises:
            OverloadedError: if there is no room for all of them.
            UnavailableError: if the batcher does not run.
        """
        self.require_room(len(images))
        items = [self._item(image) for image in images]
        for item in items:
            self._queue.put_nowait(item)
        return [item.future for item in items]

    def require_room(self, images: int) -> None:
        """Refuse work that could not be queued now, before effort is spent on it.

        Raises:
            OverloadedError: if there is no room for so many images.
            UnavailableError: if the batcher does not run.
        """
        self._require_alive()
        room = self._queue.maxsize - self._queue.qsize()
        if images > room:
            self._telemetry.images_rejected.labels("overload").inc(images)
            raise OverloadedError(
                f"{images} image(s) for {room} free place(s) in the queue: repeat the request later"
            )

    async def submit_when_room(self, image: Prepared) -> "asyncio.Future[Embedded]":
        """Queue one image as soon as there is room; return its future.

        Raises:
            UnavailableError: if the batcher does not run.
        """
        self._require_alive()
        item = self._item(image)
        await self._queue.put(item)
        return item.future

    def _require_alive(self) -> None:
        if not self.alive:
            raise UnavailableError("the service is starting or stopping")

    @staticmethod
    def _item(image: Prepared) -> _Item:
        return _Item(image, asyncio.get_running_loop().create_future())

    async def _run(self) -> None:
        while True:
            items = [await self._queue.get()]
            while len(items) < self._max_batch and not self._queue.empty():
                items.append(self._queue.get_nowait())
            waiting = [item for item in items if not item.future.done()]  # others were cancelled
            waiting.sort(key=lambda item: item.image.shape)
            try:
                for _, group in itertools.groupby(waiting, key=lambda item: item.image.shape):
                    await self._embed(list(group))
            except asyncio.CancelledError:
                self._fail(waiting, UnavailableError("the service is stopping"))
                raise

    async def _embed(self, items: list[_Item]) -> None:
        """Embed images of one shape and resolve their futures, whatever happens."""
        started_s = time.perf_counter()
        try:
            embedding = await asyncio.get_running_loop().run_in_executor(
                self._device, self._embedder.embed, [item.image for item in items]
            )
        except Exception as error:
            if len(items) > 1:
                for item in items:
                    await self._embed([item])
                return
            log.exception("the backbone failed on an image")
            failure = InferenceError("the backbone failed on this image")
            failure.__cause__ = error
            self._fail(items, failure)
            return
        forward_s = time.perf_counter() - started_s
        self._telemetry.batch_images.observe(len(items))
        for index, item in enumerate(items):
            if not item.future.done():
                result = Embedded(embedding.image(index), started_s - item.entered_s, forward_s)
                item.future.set_result(result)

    @staticmethod
    def _fail(items: list[_Item], error: Exception) -> None:
        for item in items:
            if not item.future.done():
                item.future.set_exception(error)
