"""Who comes first: scoring before fitting, and nobody whose time is up or cannot suffice."""

import asyncio
import itertools
import math
import threading
from collections.abc import Sequence

import pytest
from batching_helpers import (
    Clock,
    Double,
    Prepared,
    image,
    level,
    occupied,
    run,
    running,
    turns,
    until,
)

from app.errors import OverloadedError
from app.scoring import refusing
from app.scoring.pace import Pace
from app.telemetry import Telemetry
from detector.embedding import Embedding

FITTED = 200
"""Grey level of an image that is fitted, in these tests."""


@pytest.fixture
def double() -> Double:
    return Double()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """That of deadlines, which stands still."""
    clock = Clock()
    monkeypatch.setattr(refusing, "time", clock)
    return clock


def rejected(telemetry: Telemetry, reason: str) -> float:
    """Return how many images were rejected for a reason."""
    sample = telemetry.registry.get_sample_value
    return sample("gatewatch_images_rejected_total", {"reason": reason}) or 0.0


def test_fitting_gets_a_tenth_while_both_wait(double: Double) -> None:
    """Contract: one image of ten, in batches of its own; then what the device has left over."""

    async def test() -> None:
        async with occupied(double, max_batch=2, max_queue=100) as (batcher, _):
            fitting = [await batcher.submit_when_room(image(FITTED)) for _ in range(10)]
            scoring = batcher.submit([image(number) for number in range(60)])
            double.gate.set()
            await asyncio.gather(*scoring, *fitting)

    run(test())
    batches = [{grey == FITTED for grey, _ in batch} for batch in double.batches[1:]]
    assert all(len(kinds) == 1 for kinds in batches)
    fits = [kinds.pop() for kinds in batches]
    assert fits == ([False] * 9 + [True]) * 3 + [False] * 3 + [True] * 2


def test_an_idle_device_is_fittings(double: Double) -> None:
    """Contract: without anybody who scores, full batches follow each other."""

    async def test() -> None:
        async with occupied(double, max_batch=4, max_queue=100) as (batcher, first):
            fitting = [await batcher.submit_when_room(image(n)) for n in range(1, 10)]
            double.gate.set()
            await asyncio.gather(first, *fitting)

    run(test())
    assert [len(batch) for batch in double.batches] == [1, 4, 4, 1]


def test_who_scores_does_not_queue_behind_a_fit(double: Double) -> None:
    """Contract: however much of a fit waits, the next batch is that of who scores."""

    async def test() -> None:
        async with occupied(double, max_batch=4, max_queue=100) as (batcher, _):
            fitting = [await batcher.submit_when_room(image(FITTED)) for _ in range(50)]
            scoring = batcher.submit([image(1)])
            double.gate.set()
            await asyncio.gather(*scoring, *fitting)

    run(test())
    assert double.batches[1] == [(1, 8)]


def test_late_images_are_not_embedded(double: Double, telemetry: Telemetry, clock: Clock) -> None:
    """Contract: 503 for whose time is up when their turn comes, and a full batch of the others."""

    async def test() -> None:
        async with occupied(double, max_batch=2, telemetry=telemetry) as (batcher, _):
            soon = clock.now_s + 0.05
            late = batcher.submit([image(1), image(2)], soon)
            kept = batcher.submit([image(3), image(4)], soon + 1000)
            clock.now_s += 1
            double.gate.set()
            results = await asyncio.gather(*kept)
            assert [level(result.embedding) for result in results] == [3, 4]
            for outcome in await asyncio.gather(*late, return_exceptions=True):
                assert isinstance(outcome, OverloadedError)
                assert outcome.retry_after_s >= 1
            with pytest.raises(OverloadedError, match="time was up"):
                batcher.submit([image(5), image(6)], soon)

    run(test())
    assert double.batches[1:] == [[(3, 8), (4, 8)]]
    assert rejected(telemetry, "deadline") == 4
    assert rejected(telemetry, "overload") == 0


def test_what_cannot_be_in_time_is_refused_at_once(
    double: Double, telemetry: Telemetry, clock: Clock
) -> None:
    """Contract: by the images ahead and the time of each; with the wait, rounded up, to come again.

    Without anybody ahead it is tried: the device may have become faster.
    """

    async def test() -> None:
        async with occupied(double, max_batch=1, telemetry=telemetry) as (batcher, first):
            queued = batcher.submit([image(1), image(2)])
            batcher.require_room(1, clock.now_s + 0.5)  # nothing is known yet
            batcher._pace.took(1, 1.2, followed=True)
            with pytest.raises(OverloadedError, match=r"2 image.* behind 3 .* 6\.00 s") as refused:
                batcher.require_room(2, clock.now_s + 5.9)
            assert refused.value.retry_after_s == 4  # 3 images of 1.2 s
            batcher.require_room(2, clock.now_s + 100)
            batcher.require_room(2)
            double.gate.set()
            await asyncio.gather(first, *queued)
            await turns()
            batcher._pace.took(1, 1000, followed=True)
            (tried,) = await asyncio.gather(*batcher.submit([image(3)], clock.now_s + 20))
            assert level(tried.embedding) == 3

    run(test())
    assert rejected(telemetry, "deadline") == 2


def test_a_full_queue_says_when_to_come_again(double: Double) -> None:
    """Contract: when those that wait will be done; a second if that is not known."""

    async def test() -> None:
        async with occupied(double, max_batch=1, max_queue=4) as (batcher, _):
            batcher.submit([image(number) for number in range(4)])
            with pytest.raises(OverloadedError) as refused:
                batcher.submit([image(4)])
            assert refused.value.retry_after_s == 1
            batcher._pace.took(10, 7.0, followed=True)
            with pytest.raises(OverloadedError) as refused:
                batcher.submit([image(4)])
            assert refused.value.retry_after_s == math.ceil(5 * 0.7)

    run(test())


def test_the_pace_is_that_of_a_queue(double: Double) -> None:
    """Contract: batches that left nobody waiting teach nothing; the others do, smoothed."""

    async def test() -> None:
        async with occupied(double, max_batch=2) as (batcher, first):
            assert batcher._pace.seconds(100) == 0
            double.gate.set()
            await first
            await asyncio.gather(*batcher.submit([image(1)]))
            assert batcher._pace.seconds(100) == 0
            await asyncio.gather(*batcher.submit([image(number) for number in range(4)]))
            assert batcher._pace.seconds(100) > 0

    run(test())
    pace = Pace(8)
    pace.took(4, 2.0, followed=True)
    assert pace.seconds(3) == pytest.approx(1.5)
    pace.took(1, 1.0, followed=True)
    assert pace.seconds(10) == pytest.approx(6.0)
    for _ in range(100):
        pace.took(8, 0.8, followed=True)
    assert pace.seconds(10) == pytest.approx(1.0)


def test_one_image_does_not_wait_for_the_whole_of_a_large_request(double: Double) -> None:
    """Contract: requests take turns of at most four images, however many there are of either."""

    async def test() -> None:
        async with occupied(double, max_batch=1, max_queue=200) as (batcher, _):
            large = [batcher.submit([image(100 + n)] * 20) for n in range(5)]
            single = batcher.submit([image(1)])
            double.gate.set()
            await asyncio.gather(*single)
            await asyncio.gather(*(future for futures in large for future in futures))

    run(test())
    turns_of = [100 + n for n in range(5) for _ in range(4)]
    assert double.seen == [0, *turns_of, 1, *turns_of * 4]


def test_who_waits_for_room_gets_it_when_others_go(double: Double) -> None:
    """Contract: images of a fit that was given up make room, though no pass is made of them."""

    async def test() -> None:
        async with occupied(double, max_queue=2) as (batcher, _):
            gone = [await batcher.submit_when_room(image(grey)) for grey in (1, 2)]
            waiting = asyncio.create_task(batcher.submit_when_room(image(3)))
            await turns()
            assert not waiting.done()
            for future in gone:
                future.cancel()
            double.gate.set()
            assert level((await (await waiting)).embedding) == 3

    run(test())
    assert double.seen == [0, 3]


class Stepped(Double):
    """Embeds no more than it was told to."""

    def __init__(self) -> None:
        super().__init__()
        self.steps = threading.Semaphore(0)

    def embed(self, images: Sequence[Prepared]) -> Embedding:
        """Return rows of one number, once it may."""
        assert self.steps.acquire(timeout=60)
        return super().embed(images)


def test_a_large_request_gets_on_among_many_small_ones() -> None:
    """Contract: however many single images keep coming, it has its turn after each of them."""
    double = Stepped()

    async def test() -> None:
        async with running(double, max_batch=1, max_queue=100) as batcher:
            large = batcher.submit([image(100) for _ in range(12)])
            single = batcher.submit([image(1)])
            while not large[-1].done():  # there is always a single image that waits
                single += batcher.submit([image(1)])
                done = len(double.seen)
                double.steps.release()
                await until(lambda done=done: len(double.seen) > done)
                await turns()
            double.steps.release(len(single))
            await asyncio.gather(*single)

    run(test())
    until_done = double.seen[: len(double.seen) - double.seen[::-1].index(100)]
    groups = [(grey, len([*group])) for grey, group in itertools.groupby(until_done)]
    assert groups[::2] == [(100, 4)] * 3
    assert [grey for grey, _ in groups[1::2]] == [1, 1]


@pytest.mark.parametrize("fitted", [1, 3])
def test_few_to_fit_take_no_more_of_a_device(double: Double, fitted: int) -> None:
    """Contract: one pass of fitting for nine full ones of scoring, however few are in it."""

    async def test() -> None:
        async with occupied(double, max_batch=4, max_queue=100) as (batcher, first):
            scored = batcher.submit([image(grey) for grey in range(1, 81)])
            fits = [await batcher.submit_when_room(image(200 + number)) for number in range(fitted)]
            double.gate.set()
            await asyncio.gather(first, *scored, *fits)

    run(test())
    sizes = [len(batch) for batch in double.batches]
    of_fits = [place for place, batch in enumerate(double.batches) if batch[0][0] >= 200]
    assert of_fits == [10]  # after the first image, and nine passes
    assert sizes[1:10] == [4] * 9
    assert sizes[10] == fitted


def test_lanes_elsewhere_share_what_waits() -> None:
    """Contract: a call to another machine is as full as it can be, to be fitted, too."""

    class Away(Double):
        shares_cores = False

    double = Away(lanes=2)

    async def test() -> None:
        double.gate.clear()
        async with running(double, max_batch=4) as batcher:
            first = batcher.submit([image(0), image(1)])
            await until(lambda: batcher.under_way == 2)
            fits = [await batcher.submit_when_room(image(200 + number)) for number in range(4)]
            double.gate.set()
            await asyncio.gather(*first, *fits)

    run(test())
    assert max(len(batch) for batch in double.batches) > 1
