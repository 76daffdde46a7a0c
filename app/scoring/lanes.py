"""Threads that embed what waits, batch after batch, and tell the event loop what came of it.

What comes unprepared they prepare before, and judge after, if that is asked of them.

Each takes its next batch from the queue itself: a lane that had to ask the loop for it would stand
still for as long as the loop is busy, some milliseconds of every ten under load.
"""

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from app.errors import InferenceError, OverloadedError
from app.health.heartbeats import Stage
from app.priority import give_way
from app.scoring.pace import Pace
from app.scoring.queue import Embedded, Item, Prepared, Queue
from app.scoring.refusing import Refusals
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


class Lanes:
    """The threads; ``start`` them in the event loop that waits for what they embed.

    Args:
        count: of batches that are worth embedding at the same time.
        queue: where they take them from, until it is closed.
        pace: learns from them.
        refusals: what is told to those who are too late.
        telemetry: counts the batches.
        stage: knows which calls are under way.
        ended: called in the event loop if a thread has ended by an error, before the queue closed.
    """

    def __init__(
        self,
        count: int,
        queue: Queue,
        pace: Pace,
        refusals: Refusals,
        telemetry: Telemetry,
        stage: Stage,
        ended: Callable[[BaseException], None],
    ) -> None:
        self._queue, self._pace, self._refusals = queue, pace, refusals
        self._telemetry, self._stage, self._ended = telemetry, stage, ended
        self._loop: asyncio.AbstractEventLoop | None = None
        # For either line as many as there are lanes, though no more work at the same time: those of
        # fitting take what scoring leaves of the cores, and no thread can be raised again. Daemons:
        # who was never told to stop shall not keep the process.
        self._threads = [
            threading.Thread(target=self._work, args=[fits], name=f"{name}_{lane}", daemon=True)
            for fits, name in ((False, "device"), (True, "idle-device"))
            for lane in range(count)
        ]

    def start(self) -> None:
        """Begin to embed."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    async def join(self) -> None:
        """Wait until all have ended what they are at, once the queue is closed."""
        if self._loop is not None:
            await asyncio.to_thread(self._join)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _work(self, fits: bool) -> None:
        try:
            if fits:
                give_way()
            while batch := self._queue.take(self._is_wanted, fits=fits):
                if fits:
                    self._tell(self._queue.freed.set)
                self._pass(batch)
                del batch  # whoever waits for the next one does not keep the bodies of this one
        except BaseException as error:  # whatever it is: no thread ends without a word
            self._tell(self._end, error)

    def _end(self, error: BaseException) -> None:
        if not self._queue.closed:
            self._ended(error)

    def _tell(self, call: Callable[..., None], *arguments: object) -> None:
        """Make a call in the event loop, after those that were told before."""
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # it is closed: nobody waits any more
            self._loop.call_soon_threadsafe(call, *arguments)

    def _is_wanted(self, item: Item) -> bool:
        """Return whether an image is still to be embedded; tell those whom that concerns if not."""
        if item.future.done():  # its caller has gone
            if item.fits:
                self._tell(self._queue.freed.set)
            return False
        try:
            self._refusals.require_time(item.deadline_s)
        except OverloadedError as error:
            self._tell(item.fail, error)
            return False
        return True

    def _pass(self, batch: list[Item]) -> None:
        has_followers = len(self._queue) > 0
        started_s = time.perf_counter()
        usable = [item for item in batch if self._prepared(item)]
        for _, group in itertools.groupby(sorted(usable, key=Item.alike), key=Item.alike):
            self._embed(list(group))
        if usable:  # what cannot be read says nothing of the device
            took_s = time.perf_counter() - started_s
            self._pace.took(len(usable), took_s, followed=has_followers)

    def _prepared(self, item: Item) -> bool:
        """Return whether an image is prepared, or can be now; if it cannot, its caller is told."""
        prepare, item.prepare = item.prepare, None
        if prepare is None:
            return True
        if item.future.done():  # its caller has gone since it was taken
            return False
        try:
            item.image = prepare()
        except Exception as error:
            self._tell(item.fail, error)
            return False
        return True

    def _embed(self, items: list[Item]) -> None:
        """Embed images that are alike and tell their callers; halves of them if that fails.

        One culprit among n costs 2 log2(n) more passes.

        Raises:
            DeviceLostError
        """
        started_s = time.perf_counter()
        images = [item.image for item in items if item.image is not None]
        try:
            embeddings = self._stage.run(partial(_each, items[0].embeds, images))
            forward_s = time.perf_counter() - started_s
            results = [
                Embedded(embedding, started_s - item.entered_s, forward_s)
                for embedding, item in zip(embeddings, items, strict=True)
            ]
        except DeviceLostError:
            raise
        # Of devices elsewhere: they have no place for any, or are others than they were.
        except (OverloadedError, FingerprintMismatchError) as error:
            self._tell(_fail, items, error)
            return
        except Exception as error:
            if isinstance(error, DeviceMemoryError):
                self._pace.ran_out(len(items))
            if len(items) == 1:
                self._tell(_fail, items, self._failure(error))
                return
        else:
            self._pace.passed()
            self._telemetry.batch_images.observe(len(items))
            self._hand_over(items, results)
            return
        middle = len(items) // 2
        self._embed(items[:middle])
        self._embed(items[middle:])

    def _hand_over(self, items: Sequence[Item], results: Sequence[Embedded]) -> None:
        """Tell callers what came of their images: at once, or each when it has been judged."""
        done: list[tuple[Item, object]] = []
        for item, embedded in zip(items, results, strict=True):
            if item.then is None:
                done.append((item, embedded))
            elif not item.future.done():
                self._tell(_deliver, [(item, _outcome(item.then, embedded))])
        if done:
            self._tell(_deliver, done)

    def _failure(self, error: Exception) -> Exception:
        """Return what the caller is told of an image that failed alone."""
        if isinstance(error, DeviceMemoryError):  # no fault of the image: all are of one size
            text = "the device has no memory for even one image now: repeat the request later"
            return self._refusals.of("memory", text)
        if isinstance(error, EngineNotReadyError):
            return OverloadedError(str(error), READY_S)
        log.error("the backbone failed on an image", exc_info=error)
        failure = InferenceError("the backbone failed on this image")
        failure.__cause__ = error
        return failure


def _outcome(then: Callable[[Embedded], object], embedded: Embedded) -> object:
    """Return what is made of an embedding: an exception if that fails."""
    try:
        return then(embedded)
    except Exception as error:
        return error


def _deliver(outcomes: Sequence[tuple[Item, object]]) -> None:
    for item, outcome in outcomes:
        if isinstance(outcome, Exception):
            item.fail(outcome)
        elif not item.future.done():
            item.future.set_result(outcome)


def _fail(items: Sequence[Item], error: Exception) -> None:
    for item in items:
        item.fail(error)


def _each(embeds: Embeds, images: list[Prepared]) -> list[Embedding]:
    """Return every image's embedding; taken apart here, for the loop has enough to do."""
    embedding = embeds.embed(images)
    return [embedding.image(index) for index in range(len(images))]
