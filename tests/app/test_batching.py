"""Many callers, one device: everybody gets their own result, and only culprits fail."""

import asyncio
import time
from typing import Any, cast

import numpy as np
import pytest
from batching_helpers import (
    POISON,
    Double,
    image,
    level,
    occupied,
    run,
    running,
    stopped,
    turns,
    until,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.errors import InferenceError, OverloadedError, UnavailableError
from app.scoring.batching import Batcher
from app.telemetry import Telemetry
from detector.embedder import Embedder


@pytest.fixture
def double() -> Double:
    return Double()


def test_batched_is_alone_on_the_real_backbone(
    embedder: Embedder, photographs: list[NDArray[np.uint8]]
) -> None:
    """Law: an image's embedding does not depend on the company it was embedded in."""
    prepared = [embedder.prepare(photographs[n], side) for n in (0, 1) for side in (64, 80)]

    async def test() -> None:
        async with running(embedder, max_batch=4, max_queue=100) as batcher:
            futures = [batcher.submit([one])[0] for one in prepared]
            together = await asyncio.gather(*futures)
        for one, result in zip(prepared, together, strict=True):
            alone = embedder.embed([one])
            assert len(result.embedding) == 1
            for part in ("gate", "mean", "std", "maximum"):
                for block, rows in getattr(alone, part).items():
                    actual = getattr(result.embedding, part)[block]
                    np.testing.assert_allclose(actual, rows, rtol=1e-3, atol=1e-4)

    run(test())


@settings(max_examples=25)
@given(
    requests=st.lists(
        st.lists(
            st.tuples(st.integers(0, POISON), st.sampled_from([8, 16])), min_size=1, max_size=6
        ),
        min_size=1,
        max_size=8,
    ),
    max_batch=st.integers(1, 7),
    lanes=st.integers(1, 3),
)
def test_everybody_gets_their_own(
    requests: list[list[tuple[int, int]]], max_batch: int, lanes: int
) -> None:
    """Law: under concurrency, mixed sides and failures, each result is that of its image."""
    double = Double(lanes)

    async def ask(batcher: Batcher, wanted: list[tuple[int, int]]) -> None:
        futures = batcher.submit([image(*one) for one in wanted])
        results = await asyncio.gather(*futures, return_exceptions=True)
        for (grey, _), result in zip(wanted, results, strict=True):
            if grey == POISON:
                assert isinstance(result, InferenceError)
            else:
                assert not isinstance(result, BaseException)
                assert level(result.embedding) == grey

    async def test() -> None:
        async with running(double, max_batch=max_batch, max_queue=100) as batcher:
            await asyncio.gather(*(ask(batcher, wanted) for wanted in requests))

    run(test())
    assert all(len(batch) <= max_batch for batch in double.batches)
    assert all(len({side for _, side in batch}) == 1 for batch in double.batches)


def test_batches_are_as_large_as_allowed(double: Double, telemetry: Telemetry) -> None:
    """Contract: what waits while the device is busy goes together, up to max_batch."""
    sample = telemetry.registry.get_sample_value

    async def test() -> None:
        async with occupied(double, max_batch=3, telemetry=telemetry) as (batcher, first):
            others = batcher.submit([image(grey) for grey in range(1, 9)])
            assert sample("gatewatch_queue_images") == 8
            double.gate.set()
            await asyncio.gather(first, *others)

    run(test())
    assert [len(batch) for batch in double.batches] == [1, 3, 3, 2]
    assert double.seen == list(range(9))
    assert sample("gatewatch_batch_images_count") == 4
    assert sample("gatewatch_batch_images_sum") == 9
    assert sample("gatewatch_queue_images") == 0


def test_no_lane_is_idle_while_somebody_waits(double: Double) -> None:
    """Contract: each takes half of its share of those who wait, so that all have some at once."""
    double = Double(lanes=2)

    async def test() -> None:
        double.gate.clear()
        async with running(double, max_batch=4, max_queue=12) as batcher:
            together = batcher.submit([image(grey) for grey in range(8)])
            await until(lambda: batcher.under_way == 4)
            later = batcher.submit([image(grey) for grey in range(8, 12)])
            await turns()
            assert batcher.under_way == 4  # both lanes are at work
            double.gate.set()
            results = await asyncio.gather(*together, *later)
            assert [level(result.embedding) for result in results] == list(range(12))

    run(test())
    assert sorted(map(len, double.batches)) == [1, 1, 1, 1, 2, 2, 2, 2]  # of 8, 6, 8, 6, 4 and less


@pytest.mark.parametrize(("lanes", "sizes"), [(1, [4]), (2, [1, 1, 1, 1])])
def test_beside_other_lanes_pictures_are_fitted_one_by_one(lanes: int, sizes: list[int]) -> None:
    """Contract: who comes to be scored meanwhile waits for one at most; a lone lane takes more."""
    double = Double(lanes=lanes)

    async def test() -> None:
        double.gate.clear()
        async with running(double, max_batch=4) as batcher:
            first = batcher.submit([image(grey) for grey in range(lanes)])
            await until(lambda: batcher.under_way == lanes)
            fitted = [await batcher.submit_when_room(image(grey)) for grey in range(4)]
            double.gate.set()
            await asyncio.gather(*first, *fitted)

    run(test())
    assert list(map(len, double.batches[lanes:])) == sizes


def test_shapes_are_not_mixed(double: Double) -> None:
    """Contract: images of different sides in one queue are embedded side by side, not together."""

    async def test() -> None:
        async with occupied(double, max_batch=6) as (batcher, _):
            sides = [8, 16, 8, 16, 16, 8]
            futures = batcher.submit([image(grey, side) for grey, side in enumerate(sides)])
            double.gate.set()
            results = await asyncio.gather(*futures)
            assert [level(result.embedding) for result in results] == list(range(6))

    run(test())
    assert [[side for _, side in batch] for batch in double.batches[1:]] == [[8] * 3, [16] * 3]


def test_failing_batch_fails_only_the_culprit(
    double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: its company is embedded again, the log has the cause, and the loop goes on."""

    async def test() -> None:
        async with occupied(double) as (batcher, _):
            futures = batcher.submit([image(1), image(POISON), image(3)])
            double.gate.set()
            outcomes: list[Any] = await asyncio.gather(*futures, return_exceptions=True)
            one, failed, three = outcomes
            assert level(one.embedding) == 1
            assert level(three.embedding) == 3
            assert isinstance(failed, InferenceError)
            assert isinstance(failed.__cause__, RuntimeError)
            assert "poison" not in str(failed)  # what the backbone says is not for clients
            assert batcher.alive
            (after,) = await asyncio.gather(*batcher.submit([image(4)]))
            assert level(after.embedding) == 4

    run(test())
    assert "RuntimeError: poison" in caplog.text


def test_cancelled_callers_are_skipped(double: Double) -> None:
    """Contract: nothing is embedded for somebody who has gone; nor does it disturb others."""

    async def test() -> None:
        async with occupied(double) as (batcher, first):
            gone, stays = batcher.submit([image(1), image(2)])
            first.cancel()  # even while the device works on it
            gone.cancel()
            double.gate.set()
            assert level((await stays).embedding) == 2
            assert batcher.alive

    run(test())
    assert double.seen == [0, 2]


def test_full_queue_refuses_whole_requests(double: Double, telemetry: Telemetry) -> None:
    """Contract: of a request that does not fit nothing is queued, and it is counted."""

    async def test() -> None:
        async with occupied(double, max_queue=4, telemetry=telemetry) as (batcher, _):
            queued = batcher.submit([image(1), image(2), image(3)])
            with pytest.raises(OverloadedError, match=r"2 image.* 1 free"):
                batcher.submit([image(10), image(11)])
            queued += batcher.submit([image(4)])
            double.gate.set()
            results = await asyncio.gather(*queued)
            assert [level(result.embedding) for result in results] == [1, 2, 3, 4]

    run(test())
    assert sorted(double.seen) == [0, 1, 2, 3, 4]
    rejected = telemetry.registry.get_sample_value(
        "gatewatch_images_rejected_total", {"reason": "overload"}
    )
    assert rejected == 2


def test_submit_when_room_waits(double: Double) -> None:
    """Contract: fitting is never refused for a full queue; it waits, in order."""

    async def test() -> None:
        async with occupied(double, max_queue=2) as (batcher, _):
            waiting = [asyncio.create_task(batcher.submit_when_room(image(g))) for g in range(1, 6)]
            await turns()
            assert [task.done() for task in waiting] == [True, True, False, False, False]
            batcher.require_room(2)  # and takes no room from those who score
            double.gate.set()
            results = [await (await task) for task in waiting]
            assert [level(result.embedding) for result in results] == [1, 2, 3, 4, 5]

    run(test())
    assert double.seen == list(range(6))


def test_stop_fails_everybody_and_hangs_nobody(double: Double) -> None:
    """Contract: under way, queued, or waiting for room: all get an UnavailableError."""

    async def wait_for_room(batcher: Batcher, grey: int) -> None:
        await (await batcher.submit_when_room(image(grey)))

    async def test() -> None:
        double.gate.clear()
        batcher = Batcher(cast(Embedder, double), Telemetry(), max_batch=2, max_queue=2)
        batcher.start()
        futures = batcher.submit([image(0)])
        await until(double.entered.is_set)
        futures += batcher.submit([image(1), image(2)])
        tasks = [asyncio.create_task(wait_for_room(batcher, grey)) for grey in range(3, 9)]
        await turns()
        await stopped(batcher, double)
        for outcome in await asyncio.gather(*futures, *tasks, return_exceptions=True):
            assert isinstance(outcome, UnavailableError)
        assert not batcher.alive

    run(test())
    assert double.seen == [0]


def test_batcher_that_does_not_run_refuses(double: Double) -> None:
    """Contract: before the start and after the stop nothing is queued that would wait forever."""

    async def refuses(batcher: Batcher) -> None:
        assert not batcher.alive
        with pytest.raises(UnavailableError):
            batcher.submit([image(1)])
        with pytest.raises(UnavailableError):
            batcher.require_room(0)
        with pytest.raises(UnavailableError):
            await batcher.submit_when_room(image(1))

    async def test() -> None:
        batcher = Batcher(cast(Embedder, double), Telemetry(), max_batch=2, max_queue=2)
        await refuses(batcher)
        async with running(double) as batcher:
            assert batcher.alive
        await refuses(batcher)

    run(test())


def test_times_are_those_of_the_image(double: Double) -> None:
    """Contract: who waited for the device waited in the queue, in seconds."""

    async def test() -> None:
        began_s = time.perf_counter()
        async with occupied(double) as (batcher, first):
            busy_s = time.perf_counter()
            (second,) = batcher.submit([image(1)])
            queued_s = time.perf_counter()
            await asyncio.sleep(0.1)
            opened_s = time.perf_counter()
            double.gate.set()
            one, two = await first, await second
            done_s = time.perf_counter()
        assert 0 <= one.queue_s <= busy_s - began_s
        assert opened_s - busy_s <= one.forward_s <= done_s - began_s
        assert opened_s - queued_s <= two.queue_s <= done_s - busy_s
        assert 0 <= two.forward_s <= done_s - opened_s

    run(test())
