"""From sources to embeddings: order, bounded memory, and failures that stay where they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batching_helpers import POISON, Double, Running, level, run, turns
from image_helpers import encode
from ingest_helpers import LOOK, WINDOW, Counted, picture
from numpy.typing import NDArray

from app.errors import InferenceError, OverloadedError, UndecodableImageError, UnsupportedImageError
from app.images.sources import from_bytes, from_path
from app.scoring.arriving import Arrived, Look
from detector import imaging
from detector.embedder import Embedder
from detector.embedding import Embedding

BROKEN = from_bytes("broken", encode(np.zeros((20, 30, 3), np.uint8), "PNG")[:45])
TINY = from_bytes("tiny", encode(np.zeros((2, 2, 3), np.uint8), "PNG"))
POISONED = picture(POISON)


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
        monkeypatch.setattr("app.scoring.decoding.imaging.decode", starved)
        async with Running(double) as ingest:
            return list(await ingest.embed_now([picture(8), picture(9)], LOOK))

    first, second = run(test())
    assert isinstance(first, Arrived)
    assert isinstance(second, InferenceError)
