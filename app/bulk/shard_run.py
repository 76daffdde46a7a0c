"""One process' share of a fit at large: its fragments, one after another, to one part, resumably.

What is done is written to a file every now and then: to a temporary name first, then renamed, so
that the file is whole whenever the process is killed. The same shard goes on after the images that
the file says were counted; as images come in the same order, nothing is lost or counted twice.
"""

import asyncio
import contextlib
import signal
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from app.bulk.errors import UnfinishedError
from app.bulk.fragments import Item
from app.bulk.looking import parts_of
from app.bulk.part import Part
from app.bulk.part_file import part_bytes
from app.bulk.plan import HoldOut
from app.bulk.reading import items
from app.bulk.totals import Totals
from app.bulk.work import Done, Work, begun, write
from app.scoring.ingest import Ingest
from detector.detector import Detector

KEPT_EVERY_S = 60.0
SHARE_KEEPING = 0.05
"""Of the time, goes at most into writing what is done: it grows with what is held."""

Progress = Callable[[int], object]
"""Called with how many images were just done."""


async def run(
    ingest: Ingest,
    detector: Detector,
    hold_out: HoldOut,
    work: Work,
    progress: Progress = lambda _: None,
) -> Part:
    """Return the part of a shard, whose file is there when this returns; go on from one that is.

    Args:
        ingest: that was started.
        detector: that is fitted; its statistics play no part.
        hold_out: which images calibrate.
        work: what is to be done.
        progress: told how many images were just done, those of an earlier run first.

    Raises:
        ChangedSourcesError: if the file is of other images, another detector or plan.
        ArtefactError: if the file is damaged.
        UnfinishedError: if the process is told to end; then the file has what was done.
        TooManyFailedError: if too much was left out; then, too.
        UnavailableError, StorageUnavailableError, UnreadableSourceError, MaskMismatchError: as
            ``parts_of``; then, too.
    """
    none = Part.of(detector, hold_out, ())
    part, done = await asyncio.to_thread(begun, work, none)
    progress(part.images)
    if done.whole:
        return part
    totals = Totals(part)
    coming = _Coming(work, done)
    keeper = _Keeper(work, ingest)
    stop = asyncio.Event()
    try:
        with _told_to_end(stop):
            async with aclosing(parts_of(ingest, detector, hold_out, coming)) as parts:
                async for new in parts:
                    await ingest.in_pool(partial(totals.add, new))
                    progress(new.images)
                    if stop.is_set():
                        raise UnfinishedError(
                            f"stopped after {totals.images} images; go on with the same command"
                        )
                    if keeper.is_time:
                        await keeper.keep(totals, coming.done(totals.images - part.images))
        work.require_used(await asyncio.to_thread(totals.whole), work.kept)
    except BaseException:
        if totals.images > part.images:
            await keeper.keep(totals, coming.done(totals.images - part.images))
        raise
    return await keeper.keep(totals, Done(len(coming.fragments), whole=True))


class _Coming:
    """The images of a shard that are not done, and where each fragment begins among them."""

    def __init__(self, work: Work, done: Done) -> None:
        self.fragments = work.shard.share(work.fragments)
        self._how, self._from = work.how, done
        self._begins: list[int] = []

    def __iter__(self) -> Iterator[Item]:
        met = 0
        skipped = self._from.images
        for fragment in self.fragments[self._from.fragments :]:
            self._begins.append(met - skipped)
            for item in islice(items(fragment, self._how), skipped, None):
                yield item
                met += 1
            skipped = 0

    def done(self, images: int) -> Done:
        """Return how far one is after so many of the images."""
        if not self._begins:
            return self._from
        at = max(bisect_right(self._begins, images) - 1, 0)
        return Done(self._from.fragments + at, images - self._begins[at])


@dataclass
class _Keeper:
    """Writes what is done, seldom enough."""

    work: Work
    ingest: Ingest
    next_s: float = field(default_factory=lambda: time.monotonic() + KEPT_EVERY_S)

    @property
    def is_time(self) -> bool:
        return time.monotonic() >= self.next_s

    async def keep(self, totals: Totals, done: Done) -> Part:
        begin_s = time.monotonic()
        part = await asyncio.to_thread(self._keep, totals, self.work.about(done))
        now_s = time.monotonic()
        self.next_s = now_s + max(KEPT_EVERY_S, (now_s - begin_s) / SHARE_KEEPING)
        return part

    def _keep(self, totals: Totals, about: Mapping[str, Any]) -> Part:
        part = totals.whole()
        write(self.work.kept, part_bytes(part, about))
        return part


@contextlib.contextmanager
def _told_to_end(stop: asyncio.Event) -> Iterator[None]:
    """Set an event when the process is asked to end, by SIGTERM or Ctrl-C."""
    loop = asyncio.get_running_loop()
    taken = []
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):  # no main thread
            loop.add_signal_handler(number, stop.set)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
