"""From sources to embeddings: order, bounded memory, and failures that stay where they are."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batching_helpers import MAX_BATCH, POISON, Double, Running, level, run, turns, until
from image_helpers import encode
from numpy.typing import NDArray

from app.errors import (
    InferenceError,
    OverloadedError,
    UnavailableError,
    UndecodableImageError,
    UnsupportedImageError,
)
from app.images.sources import Source, from_bytes, from_path
from app.scoring.arriving import Arrived, Look
from detector import imaging
from detector.embedder import Embedder
from detector.embedding import Embedding

LOOK = Look(32)
WINDOW = 2 * MAX_BATCH
"""Images of a stream that are under way at once."""


def picture(grey: int) -> Source:
    """Return a picture of one grey level."""
    return from_bytes(str(grey), encode(np.full((20, 30, 3), grey, np.uint8), "PNG"))


BROKEN = from_bytes("broken", encode(np.zeros((20, 30, 3), np.uint8), "PNG")[:45])
TINY = from_bytes("tiny", encode(np.zeros((2, 2, 3), np.uint8), "PNG"))
POISONED = picture(POISON)


class Counted:
    """Sources that count how many of them have been read."""

    def __init__(self, total: int) -> None:
        self.read = 0
        self.sources = [self._source(number) for number in range(total)]

    def _source(self, number: int) -> Source:
        async def read() -> bytes:
            self.read += 1
            return await picture(number).read()

        return Source(str(number), read)


async def _unreadable() -> bytes:
    raise PermissionError("not yours")


@pytest.fixture
def double() -> Double:
    return Double()


def test_bad_images_keep_their_place(double: Double) -> None:
    """Contract: scoring gives embedding or failure of every source, in order, and counts why."""

    async def test() -> None:
        sources = [picture(1), BROKEN, picture(2), TINY, POISONED, picture(3)]
        async with Running(double) as ingest:
            one, broken, two, tiny, poisoned, three = await ingest.embed_now(sources, LOOK)
        for grey, arrived in ((1, one), (2, two), (3, three)):
            assert isinstance(arrived, Arrived)
            assert level(arrived.embedding) == grey
            assert min(arrived.decode_s, arrived.queue_s, arrived.forward_s) > 0
        assert isinstance(broken, UndecodableImageError)
        assert isinstance(tiny, UnsupportedImageError)
        assert isinstance(poisoned, InferenceError)
        for reason, count in (("decode", 1), ("unsupported", 1), ("too_large", 0)):
            sample = ingest.telemetry.registry.get_sample_value
            assert sample("gatewatch_images_rejected_total", {"reason": reason}) == count

    run(test())


def test_stream_keeps_the_order_too(double: Double) -> None:
    """Contract: fitting yields every source with its embedding or failure, in order."""
    gone = from_path(Path("there is no such file.png"))

    async def test() -> None:
        sources = [picture(n) for n in range(9)]
        sources[4:4] = [BROKEN, POISONED, gone]
        async with Running(double) as ingest:
            yielded = [pair async for pair in ingest.embed_all(sources, LOOK)]
        assert [source for source, _ in yielded] == sources
        kinds = [type(outcome) for _, outcome in yielded]
        assert kinds[4:7] == [UndecodableImageError, InferenceError, UndecodableImageError]
        embeddings = [outcome for _, outcome in yielded if isinstance(outcome, Embedding)]
        assert [level(embedding) for embedding in embeddings] == list(range(9))

    run(test())


def test_both_ways_give_what_the_backbone_gives(
    embedder: Embedder, photographs: list[NDArray[np.uint8]]
) -> None:
    """Law: read, decoded, queued and batched is the same as embedded by hand."""

    async def test() -> None:
        sources = [from_bytes("", encode(photo, "PNG")) for photo in photographs[1:3]]
        async with Running(embedder) as ingest:
            now = await ingest.embed_now(sources, Look(64))
            later = [outcome async for _, outcome in ingest.embed_all(sources, Look(64))]
        for photo, first, second in zip(photographs[1:3], now, later, strict=True):
            alone = embedder.embed([embedder.prepare(photo, 64)])
            assert isinstance(first, Arrived)
            assert isinstance(second, Embedding)
            for block, rows in alone.mean.items():
                for actual in (first.embedding.mean[block], second.mean[block]):
                    np.testing.assert_allclose(actual, rows, rtol=1e-3, atol=1e-4)

    run(test())


def test_stream_reads_ahead_by_a_window_only(double: Double) -> None:
    """Contract: memory does not grow with the number of sources, however slow the consumer."""

    async def test() -> None:
        counted = Counted(40)
        async with Running(double) as ingest:
            done = 0
            async for _ in ingest.embed_all(counted.sources, LOOK):
                done += 1
                await turns()
                assert counted.read <= done - 1 + WINDOW
            assert done == counted.read == 40

    run(test())


def test_stream_waits_for_a_full_queue(double: Double) -> None:
    """Contract: a fit that meets a busy service is slower, not refused."""

    async def test() -> None:
        changes = {"queue_images": 1, "max_request_images": 1}
        async with Running(double, **changes) as ingest:
            stream = ingest.embed_all([picture(n) for n in range(12)], LOOK)
            assert [level(e) async for _, e in stream if isinstance(e, Embedding)] == [*range(12)]

    run(test())


def test_scoring_is_refused_before_anything_is_read(double: Double) -> None:
    """Contract: an overloaded service spends nothing on what it will refuse."""

    async def test() -> None:
        counted = Counted(9)
        async with Running(double) as ingest:
            with pytest.raises(OverloadedError):
                await ingest.embed_now(counted.sources, LOOK)
            assert counted.read == 0

    run(test())


def _tasks() -> set["asyncio.Task[Any]"]:
    return {task for task in asyncio.all_tasks() if task.get_name() != "batcher"}


def test_leaving_a_stream_cleans_up(double: Double) -> None:
    """Contract: what was under way is cancelled; nothing is read, embedded or left behind."""

    async def test() -> None:
        counted = Counted(40)
        async with Running(double) as ingest:
            await turns()  # and the lanes have begun
            before = _tasks()
            stream: Any = ingest.embed_all(counted.sources, LOOK)
            await anext(stream)
            double.gate.clear()  # so that nobody finishes who is not cancelled
            await asyncio.wait_for(stream.aclose(), 30)
            double.gate.set()
            assert _tasks() == before
            assert counted.read <= WINDOW
            (arrived,) = await ingest.embed_now([picture(77)], LOOK)
            assert isinstance(arrived, Arrived)

    run(test())
    assert double.seen[-1] == 77
    assert len(double.seen) <= WINDOW + 1


def test_cancelled_requests_leave_the_queue(double: Double) -> None:
    """Contract: none of a cancelled request's images is embedded, but the one under way."""

    async def test() -> None:
        async with Running(double, max_batch=1) as ingest:
            double.gate.clear()
            sources = [picture(n) for n in range(6)]
            request = asyncio.create_task(ingest.embed_now(sources, LOOK))
            await until(double.entered.is_set)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            double.gate.set()
            await ingest.embed_now([picture(77)], LOOK)

    run(test())
    assert double.seen == [0, 77]


def test_stopping_tells_a_request_once(double: Double, caplog: pytest.LogCaptureFixture) -> None:
    """Contract: a request of many images gets one error, and no forgotten ones are logged."""

    async def test() -> None:
        async with Running(double) as ingest:
            double.gate.clear()
            sources = [picture(n) for n in range(6)]
            request = asyncio.create_task(ingest.embed_now(sources, LOOK))
            await until(double.entered.is_set)
            await turns()
        with pytest.raises(UnavailableError):
            await request
        with pytest.raises(UnavailableError):  # and who comes later gets it as well
            await ingest.embed_now(sources, LOOK)

    run(test())
    assert "never retrieved" not in caplog.text


def _unreadable_at(place: int) -> Iterator[Source]:
    for number in range(6):
        yield Source("locked", _unreadable) if number == place else picture(number)


@pytest.mark.parametrize("place", [0, 3, 5])
def test_unexpected_failures_of_a_source_pass_through(double: Double, place: int) -> None:
    """Contract: a file that cannot be read ends the work at once, and hangs nothing."""

    async def test() -> None:
        sources = list(_unreadable_at(place))
        async with Running(double) as ingest:
            with pytest.raises(PermissionError):
                await ingest.embed_now(sources, LOOK)
            with pytest.raises(PermissionError):
                async for _ in ingest.embed_all(sources, LOOK):
                    pass
            (arrived,) = await ingest.embed_now([picture(77)], LOOK)
            assert isinstance(arrived, Arrived)

    run(test())


def test_fitting_waits_until_there_is_memory(
    double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: what a caller would be told to repeat, a fit repeats."""
    waited: list[float] = []

    async def later(seconds: float) -> None:
        waited.append(seconds)
        double.memory = 1000

    async def test() -> list[Any]:
        double.memory = 0
        async with Running(double) as ingest:
            monkeypatch.setattr("app.scoring.ingest.asyncio.sleep", later)
            return [outcome async for _, outcome in ingest.embed_all([picture(7)], LOOK)]

    (outcome,) = run(test())
    assert isinstance(outcome, Embedding)
    assert waited == [1]


def test_no_memory_to_decode_is_one_images_trouble(
    double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: it fails in its place, not as a picture that cannot be decoded; others go on."""
    decode = imaging.decode

    def starved(content: bytes, **limits: Any) -> Any:
        pixels = decode(content, **limits)
        if pixels[0, 0, 0] == 9:
            raise MemoryError
        return pixels

    async def test() -> list[Any]:
        monkeypatch.setattr("app.scoring.ingest.imaging.decode", starved)
        async with Running(double) as ingest:
            return list(await ingest.embed_now([picture(8), picture(9)], LOOK))

    first, second = run(test())
    assert isinstance(first, Arrived)
    assert isinstance(second, InferenceError)


def test_one_failure_of_a_request_ends_the_work_for_it(double: Double) -> None:
    """Contract: what refuses the whole request leaves nothing of it to be done."""
    counted = Counted(50)
    broken = Source("broken", _unreadable)

    async def test() -> None:
        async with Running(double, queue_images=100, max_request_images=100) as ingest:
            with pytest.raises(PermissionError):
                await ingest.embed_now([broken, *counted.sources], LOOK)
            read = counted.read
            await turns(100)
            assert counted.read == read

    run(test())
    assert not double.seen
