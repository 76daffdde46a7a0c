"""Who waits for the device: two lines, scoring before fitting, nine images to one.

In the line of scoring requests take turns, of at most four images each: one that brings a single
image never stands behind the whole of a larger one, and a larger one never behind all that come
after it.

While both lines wait, fitting gets one batch after nine times as many images of scoring; what the
device has left over is fitting's. The lines share no batch: an image that is fitted would keep
those that are scored beside it waiting, and may be of another size, which is a pass of its own.
"""

import asyncio
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.errors import UnavailableError
from detector.embedding import Embedding
from detector.embeds import Embeds

SCORED_PER_FITTED = 9
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
    """One image that waits; times are those of ``time.perf_counter``."""

    image: Prepared
    embeds: Embeds
    future: "asyncio.Future[Embedded]"
    deadline_s: float = math.inf
    fits: bool = False
    entered_s: float = field(default_factory=time.perf_counter)

    def alike(self) -> tuple[int, tuple[int, ...], int]:
        """Return what images have in common that are embedded in one pass; large ones nothing."""
        return id(self.embeds), self.image.shape, id(self) * (self.image.size > LARGE)

    def fail(self, error: Exception) -> None:
        """Tell the caller, if there still is one."""
        if not self.future.done():
            self.future.set_exception(error)


class Queue:
    """Both lines; each has room for so many images."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._scoring: deque[deque[Item]] = deque()
        """What is left of each request, in the order of their turns."""
        self._in_turn = 0
        """Images of the first one that were taken in its turn."""
        self._waiting = 0
        """Images of all of them."""
        self._fitting: deque[Item] = deque()
        self._scored = 0
        """Images of scoring that were taken since fitting had its turn."""
        self._filled, self._freed = asyncio.Event(), asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return self._waiting + len(self._fitting)

    @property
    def scoring(self) -> int:
        """Images of scoring that wait."""
        return self._waiting

    @property
    def room(self) -> int:
        """How many more images of scoring may wait."""
        return self._room - self._waiting

    def put(self, items: Sequence[Item]) -> None:
        """Let the images of a request wait to be scored, for which there is room."""
        if items:
            self._scoring.append(deque(items))
            self._waiting += len(items)
            self._filled.set()

    async def put_when_room(self, item: Item) -> None:
        """Let an image of fitting wait, as soon as there is room.

        Raises:
            UnavailableError: if the queue is closed.
        """
        while len(self._fitting) >= self._room and not self._closed:
            self._freed.clear()
            await self._freed.wait()
        if self._closed:
            raise UnavailableError("the service is stopping")
        self._fitting.append(item)
        self._filled.set()

    async def take(self, share: Callable[[], int], is_wanted: Callable[[Item], bool]) -> list[Item]:
        """Wait for images, and take up to ``share()`` of one line; those not wanted are dropped."""
        taken: list[Item] = []
        while not taken:
            while not len(self):
                self._filled.clear()
                await self._filled.wait()
            most = share()
            is_due = self._scored >= SCORED_PER_FITTED * most
            fits = bool(self._fitting) and (is_due or not self._scoring)
            line: Sized = self._fitting if fits else self._scoring
            while line and len(taken) < most:
                item = self._fitting.popleft() if fits else self._pop()
                if is_wanted(item):
                    taken.append(item)
            self._scored = 0 if fits else self._scored + len(taken)
            self._freed.set()
        return taken

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
        """Take nothing more; return who waited. Those who wait for room get their error."""
        self._closed = True
        self._freed.set()
        waiting = [*itertools.chain.from_iterable(self._scoring), *self._fitting]
        self._waiting = 0
        self._scoring.clear()
        self._fitting.clear()
        return waiting
