"""Who decodes: a fit on half of the threads, and nobody whose time is up."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest
from batching_helpers import (
    Clock,
    Double,
    Prepared,
    Running,
    run,
    turns,
    until,
)
from image_helpers import encode
from numpy.typing import NDArray

from app.errors import OverloadedError
from app.images.sources import Source, from_bytes
from app.scoring import refusing
from app.scoring.arriving import Look

LATE = "gatewatch_images_rejected_total"


class Decoding(Double):
    """Says how many images are decoded at once; each waits for ``decoded`` to be set."""

    def __init__(self) -> None:
        super().__init__()
        self.decoded = threading.Event()
        self.now: set[int] = set()
        self.most = 0

    def prepare(
        self, image: Prepared, side_px: int, mask: NDArray[np.uint8] | None = None
    ) -> Prepared:
        """Return the image resized, once it may."""
        self.now.add(threading.get_ident())
        self.most = max(self.most, len(self.now))
        assert self.decoded.wait(60)
        self.now.discard(threading.get_ident())
        return super().prepare(image, side_px, mask)


def picture(grey: int) -> Source:
    """Return a picture of one grey level."""
    return from_bytes(str(grey), encode(np.full((20, 30, 3), grey, np.uint8), "PNG"))


@pytest.mark.parametrize(("threads", "most"), [(1, 1), (2, 1), (4, 2), (5, 2)])
def test_fitting_takes_half_of_the_decode_threads(threads: int, most: int) -> None:
    """Contract: several fits together as well; scoring may take them all."""

    async def test() -> None:
        double = Decoding()
        async with Running(double, decode_threads=threads) as ingest:

            async def fit() -> list[Any]:
                sources = [picture(number) for number in range(8)]
                return [pair async for pair in ingest.embed_all(sources, Look(32))]

            fits = [asyncio.create_task(fit()) for _ in range(2)]
            await until(lambda: len(double.now) >= most)
            await turns()
            assert double.most == most
            if threads > most:
                score = asyncio.create_task(ingest.embed_now([picture(9)], Look(32)))
                await until(lambda: len(double.now) > most)
                double.decoded.set()
                await score
            double.decoded.set()
            assert [len(done) for done in await asyncio.gather(*fits)] == [8, 8]

    run(test())


def test_late_images_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: a request whose time is up before a thread is free costs no thread."""
    clock = Clock()
    monkeypatch.setattr(refusing, "time", clock)

    async def test() -> None:
        double = Decoding()
        async with Running(double, decode_threads=1) as ingest:
            first = asyncio.create_task(ingest.embed_now([picture(1)], Look(32)))
            await until(lambda: double.now)
            soon = clock.now_s + 0.05
            late = asyncio.create_task(ingest.embed_now([picture(2)], Look(32), soon))
            await turns()
            clock.now_s += 1
            double.decoded.set()
            with pytest.raises(OverloadedError):
                await late
            await first
        assert double.seen == [1]
        assert ingest.telemetry.registry.get_sample_value(LATE, {"reason": "deadline"}) == 1

    run(test())
