"""A device that fails: for an image, for want of memory, for good; nobody is left waiting."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, cast

import pytest
from batching_helpers import POISON, Double, Prepared, image, level, occupied, run, running, turns

from app.errors import InferenceError, OverloadedError, UnavailableError
from app.scoring.batching import Batcher
from app.scoring.lanes import READY_S
from app.scoring.pace import PASSES_BEFORE_MORE, Pace
from app.telemetry import Telemetry
from detector.embedding import Embedding


@pytest.fixture
def double() -> Double:
    return Double()


def sizes(double: Double) -> list[int]:
    """Return how many images each call had, but for the first, which the tests occupy it with."""
    return [len(batch) for batch in double.batches[1:]]


@pytest.mark.parametrize("place", [0, 5, 15])
def test_one_culprit_among_many_costs_few_passes(double: Double, place: int) -> None:
    """Law: halves of halves, 2 log2(n) passes more; everybody else gets theirs."""

    async def test() -> None:
        async with occupied(double, max_batch=16, max_queue=16) as (batcher, _):
            greys = [POISON if number == place else number for number in range(16)]
            futures = batcher.submit([image(grey) for grey in greys])
            double.gate.set()
            outcomes: list[Any] = await asyncio.gather(*futures, return_exceptions=True)
        assert isinstance(outcomes.pop(place), InferenceError)
        assert [level(outcome.embedding) for outcome in outcomes] == greys[:place] + greys[
            place + 1 :
        ]

    run(test())
    assert len(sizes(double)) == 1 + 2 * math.log2(16)


def test_what_does_not_fit_into_memory_is_halved(double: Double) -> None:
    """Contract: nobody fails; batches stay small until enough passes went well, then they grow."""

    async def test() -> None:
        double.memory = 2
        async with occupied(double, max_batch=8, max_queue=1000) as (batcher, _):
            first = batcher.submit([image(number) for number in range(8)])
            after = batcher.submit([image(number) for number in range(8, 12)])
            double.gate.set()
            results = await asyncio.gather(*first, *after)
            assert [level(result.embedding) for result in results] == list(range(12))
            assert sizes(double) == [8, 4, 2, 2, 4, 2, 2, 2, 2]
            double.batches.clear()
            double.memory = 1000
            await asyncio.gather(*batcher.submit([image(1)] * (4 * PASSES_BEFORE_MORE)))
        grown = [len(batch) for batch in double.batches]
        assert grown[: PASSES_BEFORE_MORE // 2] == [2] * (PASSES_BEFORE_MORE // 2)
        assert max(grown) == 4
        assert grown == sorted(grown)

    run(test())


def test_a_batch_that_failed_never_makes_room() -> None:
    """Law: the rest of a batch, formed when more was thought to fit, says nothing for more."""
    pace = Pace(16)
    pace.ran_out(4)
    pace.ran_out(8)
    assert pace.most == 2
    pace.ran_out(1)
    assert pace.most == 1


def test_growing_stops_at_the_largest_batch(double: Double) -> None:
    """Contract: what was set is never exceeded."""

    async def test() -> None:
        double.memory = 2
        async with occupied(double, max_batch=3, max_queue=1000) as (batcher, _):
            double.gate.set()
            await asyncio.gather(*batcher.submit([image(1)] * 3))
            double.memory = 1000
            await asyncio.gather(*batcher.submit([image(1)] * 900))

    run(test())
    assert max(sizes(double)) == sizes(double)[-3] == 3


def test_no_memory_for_one_image_is_no_fault_of_the_image(
    double: Double, telemetry: Telemetry
) -> None:
    """Contract: whoever sent it may repeat it; it is counted, and the next one is tried."""

    async def test() -> None:
        async with running(double, telemetry=telemetry) as batcher:
            double.memory = 0
            with pytest.raises(OverloadedError, match="memory"):
                await asyncio.gather(*batcher.submit([image(1)]))
            double.memory = 1
            (result,) = await asyncio.gather(*batcher.submit([image(2)]))
            assert level(result.embedding) == 2

    run(test())
    sample = telemetry.registry.get_sample_value
    assert sample("gatewatch_images_rejected_total", {"reason": "memory"}) == 1


def test_an_engine_that_is_not_ready_is_told_and_not_logged(
    double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract: every image of it is refused for the time being; it is no fault of any."""

    async def test() -> None:
        double.is_ready = False
        async with running(double) as batcher:
            futures = batcher.submit([image(1), image(2)])
            outcomes = await asyncio.gather(*futures, return_exceptions=True)
            for outcome in outcomes:
                assert isinstance(outcome, OverloadedError)
                assert outcome.retry_after_s == READY_S
            double.is_ready = True
            assert level((await batcher.submit([image(3)])[0]).embedding) == 3

    run(test())
    assert not caplog.records


async def _fit(batcher: Batcher, grey: int) -> None:
    await (await batcher.submit_when_room(image(grey)))


async def _ends(double: Double, batcher: Batcher, *first: "asyncio.Future[Any]") -> None:
    """Expect that everybody is told, and that the batcher says it is dead, once."""
    calls: list[bool] = []
    futures = [*first, *batcher.submit([image(1)])]
    batcher.on_fatal = lambda: calls.append(all(future.done() for future in futures))
    tasks = [asyncio.create_task(_fit(batcher, grey)) for grey in range(3, 9)]
    await turns()
    double.gate.set()
    outcomes = await asyncio.gather(*futures, *tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * len(outcomes)
    assert calls == [True]
    assert not batcher.alive
    with pytest.raises(UnavailableError):
        batcher.submit([image(1)])
    await batcher.stop()
    assert calls == [True]


def test_a_lost_device_ends_it_all(double: Double, caplog: pytest.LogCaptureFixture) -> None:
    """Contract: under way, queued or waiting for room, all are told; and nothing is tried again."""

    async def test() -> None:
        double.lost = True
        async with occupied(double, max_queue=2) as (batcher, first):
            await _ends(double, batcher, first)

    run(test())
    assert double.seen == [0]
    assert "device-side assert" in caplog.text
    assert "never retrieved" not in caplog.text


@pytest.mark.parametrize("broken", ["take", "pass"])
def test_a_lane_that_fails_itself_ends_it_all(
    double: Double,
    broken: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Contract: a defect of ours, of whatever kind, leaves nobody waiting."""

    def end(*_: object, **__: object) -> None:
        raise SystemExit

    async def test() -> None:
        async with occupied(double, max_queue=2) as (batcher, first):
            if broken == "take":
                monkeypatch.setattr(batcher._queue, "take", end)
            else:
                monkeypatch.setattr(batcher._lanes, "_pass", None)
            await _ends(double, batcher)
            assert level((await first).embedding) == 0  # what it had begun it ends

    run(test())
    assert "nothing can be embedded" in caplog.text


def test_stopping_is_not_fatal(double: Double) -> None:
    """Contract: a service that stops is not one whose device failed."""
    calls: list[bool] = []

    async def test() -> None:
        async with running(double) as batcher:
            batcher.on_fatal = lambda: calls.append(True)

    run(test())
    assert not calls


def test_stopped_before_it_began(double: Double) -> None:
    """Contract: who came just before the end is not left waiting either."""

    async def test() -> None:
        double.gate.clear()
        async with running(double) as batcher:
            futures = batcher.submit([image(1)])
        assert isinstance((await asyncio.gather(*futures, return_exceptions=True))[0], Exception)

    run(test())


class Undelivered(Double):
    """Gives nothing that could be delivered for several images."""

    def embed(self, images: Sequence[Prepared]) -> Embedding:
        """Return no embedding, unless of one image."""
        whole = super().embed(images)
        return whole if len(images) == 1 else cast(Any, None)


def test_results_that_cannot_be_delivered_are_failures_of_their_batch() -> None:
    """Contract: it is tried in halves like any other, and the loop goes on."""

    async def test() -> None:
        double = Undelivered()
        async with occupied(double) as (batcher, _):
            futures = batcher.submit([image(1), image(2), image(3)])
            double.gate.set()
            results = await asyncio.gather(*futures)
            assert [level(result.embedding) for result in results] == [1, 2, 3]
            assert batcher.alive

    run(test())
