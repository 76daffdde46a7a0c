"""One image all the way at once: decoded, embedded and judged by one lane; as if it were three."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from batching_helpers import POISON, Clock, Double, Running, level, run, turns, until
from image_helpers import encode
from ingest_helpers import LOOK, picture
from numpy.typing import NDArray

from app.errors import InferenceError, OverloadedError, UnavailableError, UndecodableImageError
from app.images.sources import Source, from_bytes
from app.scoring import refusing
from app.scoring.arriving import Arrived
from detector import imaging
from detector.embedder import Embedder
from detector.errors import NotFittedError


@pytest.fixture
def double() -> Double:
    return Double(lanes=2)


def seen(arrived: Arrived) -> tuple[int, str]:
    """Return what a picture was, and the thread that says so."""
    return level(arrived.embedding), threading.current_thread().name


async def through(ingest: Running, source: Source, then: Callable[[Arrived], Any] = seen) -> Any:
    """Take a picture all the way; return what was made of it, or why there is nothing."""
    found = await ingest.embed_through(source, LOOK, then)
    return found[1] if isinstance(found, tuple) else found


def test_one_thread_does_all_of_it(double: Double) -> None:
    """Contract: each picture has its own, at the same time as others."""

    async def test() -> None:
        async with Running(double, max_batch=4, queue_images=100) as ingest:
            found = await asyncio.gather(*(through(ingest, picture(n)) for n in range(30)))
            assert [grey for grey, _ in found] == list(range(30))
            assert {name.partition("_")[0] for _, name in found} == {"device"}
            assert ingest._heartbeats.proved_s > 0

    run(test())


def test_times_are_told_once(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: what a picture took is told in parts, and nothing is in two of them."""
    real = imaging.decode

    def decode(content: bytes, **limits: Any) -> Any:
        time.sleep(0.1)
        return real(content, **limits)

    monkeypatch.setattr(imaging, "decode", decode)

    async def test() -> None:
        async with Running(double) as ingest:
            began_s = time.perf_counter()
            arrived, _ = await ingest.embed_through(picture(7), LOOK, seen)  # type: ignore[misc]
            whole_s = time.perf_counter() - began_s
            parts = (arrived.decode_s, arrived.queue_s, arrived.forward_s)
            assert min(parts) > 0
            assert arrived.decode_s >= 0.1
            assert sum(parts) <= whole_s  # 0.1 s more if decoding were waiting, too

    run(test())


def test_it_is_for_lone_pictures_on_shared_cores(double: Double) -> None:
    """Contract: more than one are decoded by the pool, as are all where a lane is the device."""

    async def test() -> None:
        async with Running(double) as ingest, Running(Double(lanes=1)) as other:
            assert ingest.goes_through([picture(1)], LOOK)
            assert not ingest.goes_through([picture(1)] * 2, LOOK)
            assert not other.goes_through([picture(1)], LOOK)

    run(test())


def test_a_large_file_keeps_no_lane(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the pool decodes it, and the lane does the rest."""
    names: list[str] = []
    real = imaging.decode

    def decode(content: bytes, **limits: Any) -> Any:
        names.append(threading.current_thread().name.partition("_")[0])
        return real(content, **limits)

    monkeypatch.setattr(imaging, "decode", decode)
    noise = np.random.default_rng(0).integers(0, 256, (1300, 1300, 3), np.uint8)
    large = from_bytes("large", encode(noise, "PNG"))
    broken = from_bytes("large", encode(noise, "PNG")[:-100_000])

    async def test() -> None:
        async with Running(double) as ingest:
            await through(ingest, picture(1))
            _, name = await through(ingest, large)
            assert name.startswith("device")
            assert isinstance(await through(ingest, broken), UndecodableImageError)
        assert names == ["device", "decode", "decode"]

    run(test())


def test_it_gives_what_the_other_way_gives(
    embedder: Embedder, photographs: list[NDArray[np.uint8]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: the same embedding, to the bit, and digest."""
    monkeypatch.setattr(embedder, "lanes", 2)
    sources = [from_bytes("p.png", encode(pixels, "PNG")) for pixels in photographs]

    async def test() -> None:
        async with Running(embedder, max_batch=1) as ingest:
            for source in sources:
                (ours,) = await ingest.embed_now([source], LOOK)
                theirs = await through(ingest, source, lambda arrived: arrived)
                assert isinstance(ours, Arrived)
                assert theirs.sha256 == ours.sha256
                for name, rows in ours.embedding.mean.items():
                    np.testing.assert_array_equal(theirs.embedding.mean[name], rows)

    run(test())


def test_what_fails_fails_alone(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: of pictures in one pass, and both lanes go on; why is counted."""
    real = imaging.decode

    def decode(content: bytes, **limits: Any) -> Any:
        if content == b"no memory":
            raise MemoryError
        if content == b"a defect":
            raise RuntimeError("a defect")
        if content == b"an exit":
            raise SystemExit(1)
        return real(content, **limits)

    monkeypatch.setattr(imaging, "decode", decode)

    def refused(_: Arrived) -> None:
        raise NotFittedError("not fitted")

    def exits(_: Arrived) -> None:
        raise SystemExit(1)

    async def test() -> None:
        async with Running(double, max_batch=4, queue_images=100) as ingest:
            odd = [from_bytes("odd", text) for text in (b"no memory", b"a defect", b"an exit")]
            broken = from_bytes("broken", b"\x89PNG\r\n\x1a\n")
            for _ in range(5):
                double.gate.clear()
                busy = [asyncio.create_task(through(ingest, picture(9))) for _ in range(2)]
                await until(lambda: ingest.batcher.under_way == 2)
                together = asyncio.gather(
                    through(ingest, picture(1)),
                    through(ingest, picture(4)),
                    through(ingest, broken),
                    *(through(ingest, each) for each in odd),
                    through(ingest, picture(POISON)),
                    through(ingest, picture(2), refused),
                    through(ingest, picture(3), exits),
                    return_exceptions=True,
                )
                await until(lambda: ingest.batcher.waiting == 9)
                double.gate.set()
                outcomes = await together
                kinds = [type(outcome).__name__ for outcome in outcomes]
                await asyncio.gather(*busy)
                assert kinds == [
                    "tuple",
                    "tuple",
                    UndecodableImageError.__name__,
                    InferenceError.__name__,
                    "RuntimeError",
                    "ThreadEndedError",
                    InferenceError.__name__,
                    NotFittedError.__name__,
                    "ThreadEndedError",
                ]
            assert ingest.batcher.alive
            assert max(map(len, double.batches)) > 1  # they were in company
            sample = ingest.telemetry.registry.get_sample_value
            assert sample("gatewatch_images_rejected_total", {"reason": "decode"}) == 5

    run(test())


def test_who_is_late_is_not_even_decoded(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: as who has gone is not."""
    decoded: list[bytes] = []
    real, clock = imaging.decode, Clock()

    def decode(content: bytes, **limits: Any) -> Any:
        decoded.append(content)
        return real(content, **limits)

    monkeypatch.setattr(imaging, "decode", decode)
    monkeypatch.setattr(refusing, "time", clock)

    async def test() -> None:
        double.gate.clear()
        async with Running(double, max_batch=1) as ingest:
            busy = [asyncio.create_task(through(ingest, picture(n))) for n in range(2)]
            await until(lambda: ingest.batcher.under_way == 2)
            await until(lambda: len(decoded) == 2)
            soon_s = clock.now_s + 0.05
            late = asyncio.create_task(ingest.embed_through(picture(8), LOOK, seen, soon_s))
            gone = asyncio.create_task(through(ingest, picture(9)))
            await until(lambda: ingest.batcher.waiting == 2)
            gone.cancel()
            await turns()
            clock.now_s += 1
            double.gate.set()
            assert [grey for grey, _ in await asyncio.gather(*busy)] == [0, 1]
            with pytest.raises(OverloadedError):
                await late
            await through(ingest, picture(5))
        assert len(decoded) == 3

    run(test())


def test_who_goes_while_the_lane_decodes_another(
    double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: of pictures that were taken together, one whose caller has gone is not decoded."""
    decoded: list[int] = []
    is_open, real = threading.Event(), imaging.decode

    def decode(content: bytes, **limits: Any) -> Any:
        pixels = real(content, **limits)
        decoded.append(int(pixels[0, 0, 0]))
        assert decoded[-1] != 1 or is_open.wait(60)
        return pixels

    monkeypatch.setattr(imaging, "decode", decode)

    async def test() -> None:
        double.gate.clear()
        async with Running(double, max_batch=4) as ingest:
            busy = [asyncio.create_task(through(ingest, picture(9))) for _ in range(2)]
            await until(lambda: ingest.batcher.under_way == 2)
            sent = [asyncio.create_task(through(ingest, picture(n))) for n in range(1, 9)]
            await until(lambda: ingest.batcher.waiting == 8)
            double.gate.set()
            await until(lambda: 1 in decoded)
            sent[1].cancel()  # it was taken with the first: a quarter of what waited
            await asyncio.gather(*busy, *sent[2:])
            is_open.set()
            assert (await sent[0])[0] == 1

    run(test())
    assert sorted(decoded) == [1, 3, 4, 5, 6, 7, 8, 9, 9]


def test_nothing_is_taken_that_no_lane_would_do(double: Double) -> None:
    """Contract: full, or stopping: refused before it is read."""

    async def unread() -> bytes:
        raise AssertionError("there was no room for it")

    async def test() -> None:
        double.gate.clear()
        async with Running(double, queue_images=1, max_request_images=1) as ingest:
            waiting = []
            for number, (under_way, wait) in enumerate([(1, 0), (2, 0), (2, 1)]):
                waiting.append(asyncio.create_task(through(ingest, picture(number))))
                await until(lambda: ingest.batcher.left == sum((under_way, wait)))  # noqa: B023
                await until(lambda: ingest.batcher.waiting == wait)  # noqa: B023
            with pytest.raises(OverloadedError):
                await through(ingest, Source("unread", unread))
            double.gate.set()
            await asyncio.gather(*waiting)
        with pytest.raises(UnavailableError):
            await through(ingest, picture(9))

    run(test())
