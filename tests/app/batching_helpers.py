"""An embedder that can fail and wait at will, time that passes when told, a limit on hanging."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.scoring.batching import Batcher
from app.scoring.ingest import Ingest
from app.settings import Settings
from app.telemetry import Telemetry
from detector.embedding import Embedding
from detector.errors import DeviceLostError, DeviceMemoryError, EngineNotReadyError
from models.preprocess import LITE0

R = TypeVar("R")
Prepared = NDArray[np.uint8]
MAX_BATCH = 2
"""Of an ingest that the tests start."""
POISON = 255
"""The grey level of an image on which the double fails, as does the batch that holds it."""


def run(test: Awaitable[R]) -> R:
    """Run a test in an event loop; a test that hangs fails within two minutes."""

    async def limited() -> R:
        return await asyncio.wait_for(test, 120)

    return asyncio.run(limited())


async def turns(count: int = 20) -> None:
    """Let every other task of the loop go on as far as it can without the device."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Any) -> None:
    """Wait until a condition holds."""
    while not condition():
        await asyncio.sleep(0.001)


class Clock:
    """Stands in for ``time`` in a module, and moves when it is told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def perf_counter(self) -> float:
        return self.now_s


def image(level: int, side: int = 8) -> Prepared:
    """Return a prepared image, (3, side, side), of one grey level: what the double gives back."""
    return np.full((3, side, side), level, np.uint8)


def level(embedding: Embedding) -> int:
    """Return the grey level of the image that the double embedded."""
    assert len(embedding) == 1
    return int(embedding.mean["block"][0, 0])


class Double:
    """Embeds an image as its mean; waits while ``gate`` is closed; fails on ``POISON``.

    It has memory for ``memory`` images at once, and fails at everything once it is ``lost``.
    """

    name, fingerprint, device = "double", "0" * 64, "cpu"

    def __init__(self, lanes: int = 1) -> None:
        self.lanes = lanes
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.batches: list[list[tuple[int, int]]] = []
        """Of every call: level and side of its images."""
        self.memory = 1000
        self.is_ready = True
        self.lost = False

    @property
    def shares_cores(self) -> bool:
        """As an ``Embedder`` on a CPU."""
        return self.lanes > 1

    def prepare(
        self, image: Prepared, side_px: int, mask: NDArray[np.uint8] | None = None
    ) -> Prepared:
        """Return the image resized, and the mask, if any, as a fourth channel."""
        prepared = LITE0.resize(image, side_px)
        if mask is None:
            return prepared
        return np.concatenate([prepared, LITE0.resize(mask[:, :, None], side_px)])

    def embed(self, images: Sequence[Prepared]) -> Embedding:
        """Return rows of one number."""
        self.entered.set()
        assert self.gate.wait(60), "the test left the gate closed"
        batch = np.stack(images)
        self.batches.append([(int(one[0, 0, 0]), one.shape[-1]) for one in images])
        if self.lost:
            raise DeviceLostError("CUDA error: device-side assert triggered")
        if not self.is_ready:
            raise EngineNotReadyError("it is being made ready")
        if len(batch) > self.memory:
            raise DeviceMemoryError("CUDA out of memory")
        if (batch == POISON).any():
            raise RuntimeError("poison")
        means = batch.mean(axis=(2, 3)).astype(np.float32)
        parts = ({"block": means} for _ in range(4))
        cells = {"block": means[:, None]}
        return Embedding(*parts, regional=cells, thumbnail=batch[:, :3])

    @property
    def seen(self) -> list[int]:
        """The levels of all images, in the order in which they were embedded."""
        return [grey for batch in self.batches for grey, _ in batch]


@asynccontextmanager
async def running(
    embedder: Any, *, max_batch: int = 4, max_queue: int = 8, telemetry: Telemetry | None = None
) -> AsyncIterator[Batcher]:
    """Give a batcher that runs, and stop it at the end."""
    batcher = Batcher(embedder, telemetry or Telemetry(), max_batch=max_batch, max_queue=max_queue)
    batcher.start()
    try:
        yield batcher
    finally:
        await stopped(batcher, embedder)


async def stopped(what: Batcher | Ingest, embedder: Any) -> None:
    """Stop it, and let go of what is embedded once that has begun: nothing more is then."""
    stopping = asyncio.create_task(what.stop())
    if isinstance(embedder, Double):
        asyncio.get_running_loop().call_soon(embedder.gate.set)
    await stopping


@asynccontextmanager
async def occupied(
    double: Double, **options: Any
) -> AsyncIterator[tuple[Batcher, "asyncio.Future[Any]"]]:
    """Give a batcher whose device is busy with an image of level 0, until the gate is opened."""
    double.gate.clear()
    async with running(double, **options) as batcher:
        (first,) = batcher.submit([image(0)])
        await until(double.entered.is_set)
        yield batcher, first


class Running(Ingest):
    """An ingest with a double behind it that a ``with`` statement starts and stops."""

    def __init__(self, embedder: Any, **changes: Any) -> None:
        given = {"max_batch": MAX_BATCH, "queue_images": 8, "max_request_images": 8} | changes
        self.telemetry = Telemetry()
        super().__init__(Settings(**given), embedder, self.telemetry)
        self._double = embedder

    async def __aenter__(self) -> "Running":
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await stopped(self, self._double)
