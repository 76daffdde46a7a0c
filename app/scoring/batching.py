"""Many awaiting callers, one device: images are embedded in batches, one in each of its lanes.

Work-conserving: whenever a lane is free and an image waits, a batch starts; it never sleeps to
wait for company. A batch that fails is halved until only the culprits fail; one that does not fit
into the device's memory makes those after it smaller, too (``app.scoring.lanes``). Scoring is
admitted whole or refused at once, also if its deadline cannot be kept; fitting waits for room. If
the device is lost, or a lane fails, everybody who waits is told, and then whoever can end the
process.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from app.errors import UnavailableError
from app.health.heartbeats import Heartbeats
from app.scoring.lanes import Lanes
from app.scoring.pace import Pace
from app.scoring.queue import Embedded, Item, Prepared, Queue
from app.scoring.refusing import Refusals
from app.telemetry import Telemetry
from detector.embeds import Embeds

log = logging.getLogger(__name__)

R = TypeVar("R")


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
        self._heartbeats = heartbeats or Heartbeats()
        self._pace = Pace(max_batch, embedder.lanes)
        self._queue = Queue(
            max_queue, embedder.lanes, self._pace, shares_cores=embedder.shares_cores
        )
        self._refusals = Refusals(telemetry, self._queue, self._pace)
        self._lanes = Lanes(
            embedder.lanes,
            self._queue,
            self._pace,
            self._refusals,
            telemetry,
            self._heartbeats.device,
            self._ended,
        )
        self._started = False
        telemetry.queue_images.set_function(self._queue.__len__)  # as it is when it is asked for

    @property
    def alive(self) -> bool:
        """Whether images that are submitted now will be embedded."""
        return self._started and not self._queue.closed

    def start(self) -> None:
        """Begin to embed."""
        self._lanes.start()
        self._started = True

    async def stop(self) -> None:
        """Stop; whoever still waits gets an UnavailableError."""
        self._fail_all("the service is stopping")
        await self._lanes.join()

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

    def submit_whole(
        self,
        prepare: Callable[[], Prepared],
        then: Callable[[Embedded], R],
        deadline_s: float = math.inf,
    ) -> "asyncio.Future[R]":
        """Queue one image as ``submit``; the lane that embeds it prepares it before, and goes on.

        Args:
            prepare: makes the image; what it or ``then`` raises is the future's exception.
            then: makes the future's result of the embedding.
            deadline_s: of ``time.perf_counter``.
        """
        self.require_room(1, deadline_s)
        item = Item(None, self._embedder, _future(), deadline_s, prepare=prepare, then=then)
        self._queue.put([item])
        return item.future

    def require_room(self, images: int, deadline_s: float = math.inf) -> None:
        """Refuse work that could not be done now, before effort is spent on it.

        Raises:
            OverloadedError: if there is no room for so many images, or no time until the deadline.
            UnavailableError: if the batcher does not run.
        """
        self._require_alive()
        self._refusals.require_room(images, deadline_s)

    def require_time(self, deadline_s: float, images: int = 1) -> None:
        """Raise OverloadedError if the time of images is up; may be called on any thread."""
        self._refusals.require_time(deadline_s, images)

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
        return self._queue.under_way

    @property
    def left(self) -> int:
        """Images that wait or are being embedded, of one moment."""
        return self._queue.left

    def _ended(self, error: BaseException) -> None:
        """A lane can go on no more: neither does anything else."""
        log.critical("nothing can be embedded any more", exc_info=error)
        self._heartbeats.died("device", "nothing can be embedded any more")
        self._fail_all("the device failed: the service has to be started again")
        self.on_fatal()

    def _fail_all(self, text: str) -> None:
        for item in self._queue.close():
            item.fail(UnavailableError(text))


def _future() -> "asyncio.Future[Embedded]":
    return asyncio.get_running_loop().create_future()
