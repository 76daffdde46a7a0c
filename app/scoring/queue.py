"""Who waits for the device: two lines, scoring before fitting, nine images to one.

In the line of scoring requests take turns, of at most four images each: one that brings a single
image never stands behind the whole of a larger one, and a larger one never behind all that come
after it.

Fitting gets one batch after nine times as many images of scoring, and what the device has left
over. But where lanes are the cores of a CPU, and somebody has scored within a second, one of what
is left over is kept for whoever scores next: else he would find all of them fitting, wait for the
end of a pass, and share its core. The lines share no batch: an image that is fitted would keep
those that are scored beside it waiting, and may be of another size, which is a pass of its own.

Images come from the event loop. Threads take them, each from one line only, and ask nobody: the
loop may be busy for as long as a pass takes.
"""

import asyncio
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import UnavailableError
from app.scoring.pace import Pace
from detector.embedding import Embedding
from detector.embeds import Embeds

SCORED_PER_FITTED = 9
TRAFFIC_S = 1.0
"""For how long after an image was scored a lane is kept for the next one."""
TURN = 4
"""Most images of one request that are taken before it is the next one's turn."""
LARGE = 2**22
"""Values of a sample, such as a long clip, that passes a network alone: larger than any picture."""
Prepared = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Embedded:
    """The embedding of one image and how long it took, in seconds."""

    embedding: Embedding
    queue_s: float
    forward_s: float


@dataclass(slots=True, eq=False)
class Item:
    """One image that waits; times are those of ``time.perf_counter``.

    It is prepared, or ``prepare`` makes it so; the caller is told the embedding, or what ``then``
    makes of it. The lane that embeds it calls both, once.
    """

    image: Prepared | None
    embeds: Embeds
    future: "asyncio.Future[Any]"
    deadline_s: float = math.inf
    fits: bool = False
    entered_s: float = field(default_factory=time.perf_counter)
    prepare: Callable[[], Prepared] | None = None
    then: Callable[[Embedded], object] | None = None

    def alike(self) -> tuple[int, tuple[int, ...], int]:
        """Return what images have in common that are embedded in one pass; large ones nothing."""
        assert self.image is not None
        return id(self.embeds), self.image.shape, id(self) * (self.image.size > LARGE)

    def fail(self, error: Exception) -> None:
        """Tell the caller, if there still is one."""
        if not self.future.done():
            self.future.set_exception(error)


class Queue:
    """Both lines, each with room for so many images, and who is under way in which lane."""

    def __init__(self, room: int, lanes: int, pace: Pace, *, shares_cores: bool) -> None:
        self.closed = False
        self.freed = asyncio.Event()
        """To be set, in the event loop, when images to fit were taken: who waits for room looks."""
        self._room, self._lanes, self._pace = room, lanes, pace
        self._shares_cores = shares_cores
        self._scoring: deque[deque[Item]] = deque()
        """What is left of each request, in the order of their turns."""
        self._in_turn = 0
        """Images of the first one that were taken in its turn."""
        self._waiting = 0
        """Images of all of them."""
        self._fitting: deque[Item] = deque()
        self._scored = 0
        """Images of scoring that were taken since fitting had its turn."""
        self._scored_s = -math.inf
        """When one was taken last, or was done."""
        self._under_way: dict[int, list[Item]] = {}
        """The batch of each thread that is at work."""
        self._lock = threading.Lock()
        self._scorers = threading.Condition(self._lock)
        self._fitters = threading.Condition(self._lock)

    def __len__(self) -> int:
        return self._waiting + len(self._fitting)

    @property
    def scoring(self) -> int:
        """Images of scoring that wait."""
        return self._waiting

    @property
    def under_way(self) -> int:
        """Images that are being embedded, whose callers wait."""
        batches = tuple(self._under_way.values())
        return sum(not item.future.done() for batch in batches for item in batch)

    @property
    def left(self) -> int:
        """Images that wait or are under way, of one moment."""
        with self._lock:
            return len(self) + self.under_way

    @property
    def room(self) -> int:
        """How many more images of scoring may wait."""
        return self._room - self._waiting

    def put(self, items: Sequence[Item]) -> None:
        """Let the images of a request wait to be scored, for which there is room."""
        if items:
            with self._lock:
                self._scoring.append(deque(items))
                self._waiting += len(items)
                self._wake()

    async def put_when_room(self, item: Item) -> None:
        """Let an image of fitting wait, as soon as there is room.

        Raises:
            UnavailableError: if the queue is closed.
        """
        while len(self._fitting) >= self._room and not self.closed:
            self.freed.clear()
            await self.freed.wait()
        if self.closed:
            raise UnavailableError("the service is stopping")
        with self._lock:
            self._fitting.append(item)
            self._wake()

    def take(self, is_wanted: Callable[[Item], bool], *, fits: bool) -> list[Item]:
        """Wait for this thread's next batch of its line; none if the queue is closed.

        Whoever takes one has done with the one before. Images that are not wanted are dropped.
        """
        me = threading.get_ident()
        with self._lock:
            if self._under_way.pop(me, None) and not fits:
                self._scored_s = time.perf_counter()
            while not self.closed:
                if self._due() is fits:
                    # Under way at once: whoever is in it is told if anything goes wrong from here.
                    batch = self._under_way[me] = []
                    self._pick(batch, self._share(fits), is_wanted, fits=fits)
                    if batch:
                        self._note(len(batch), fits=fits)
                        self._wake()  # who comes together is shared out
                        return batch
                    del self._under_way[me]
                else:
                    self._wake()
                    (self._fitters if fits else self._scorers).wait()
            return []

    def _share(self, fits: bool) -> int:
        """Return how many a free lane takes at once: no more than leaves others idle.

        On shared cores a pass takes as long as its images one after another. There it takes half
        of its share of those who wait to be scored, for each of them waits for all the others, and
        one of those to fit: whoever comes to be scored meanwhile waits until it ends.
        """
        if self._shares_cores:
            return 1 if fits else min(self._pace.most, math.ceil(self._waiting / (2 * self._lanes)))
        free = max(1, self._lanes - len(self._under_way))
        return min(self._pace.most, math.ceil(len(self) / free))

    def _due(self) -> bool | None:
        """Return whether a batch of fitting comes next, or one of scoring; None if none does.

        A lane that is kept may become fitting's with time alone, and nobody is woken then. But a
        lane is kept only while another is at work, and whoever ends a pass looks again.
        """
        if not len(self) or len(self._under_way) >= self._lanes:
            return None
        if self._fitting and self._scored >= SCORED_PER_FITTED * self._share(fits=True):
            return True
        if self._scoring:
            return False
        return True if len(self._under_way) < self._lanes - self._kept else None

    @property
    def _kept(self) -> int:
        """Lanes that fitting leaves to whoever scores next."""
        is_scored = time.perf_counter() - self._scored_s < TRAFFIC_S
        return min(int(self._shares_cores and is_scored), self._lanes - 1)

    def _note(self, images: int, *, fits: bool) -> None:
        """Remember whose turn it was."""
        if fits:
            self._scored = 0
        else:
            self._scored += images
            self._scored_s = time.perf_counter()

    def _wake(self) -> None:
        """Wake a thread of the line that is due: one waits there, or all lanes are at work."""
        due = self._due()
        if due is not None:
            (self._fitters if due else self._scorers).notify()

    def _pick(
        self, batch: list[Item], most: int, is_wanted: Callable[[Item], bool], *, fits: bool
    ) -> None:
        line: Sized = self._fitting if fits else self._scoring
        while line and len(batch) < most:
            batch.append(self._fitting.popleft() if fits else self._pop())
            if not is_wanted(batch[-1]):
                batch.pop()

    def _pop(self) -> Item:
        """Take the next image of scoring, of which there is one."""
        request = self._scoring[0]
        item = request.popleft()
        self._waiting -= 1
        self._in_turn += 1
        if not request or self._in_turn >= TURN:
            self._in_turn = 0
            self._scoring.popleft()
            if request:
                self._scoring.append(request)
        return item

    def close(self) -> list[Item]:
        """Give nothing more; return who waited or was under way. In the event loop."""
        with self._lock:
            self.closed = True
            left = [
                *itertools.chain.from_iterable(self._under_way.values()),
                *itertools.chain.from_iterable(self._scoring),
                *self._fitting,
            ]
            self._waiting = 0
            self._scoring.clear()
            self._fitting.clear()
            self._scorers.notify_all()
            self._fitters.notify_all()
        self.freed.set()  # those who wait for room get their error
        return left
