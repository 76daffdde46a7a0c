"""The lane that fits leave to whoever scores next."""

import asyncio

import pytest
from batching_helpers import Clock, Double, image, run, running, until

from app.scoring import queue

FITTED = 200
"""Grey level of an image that is fitted, in these tests."""


@pytest.mark.parametrize(("scored", "traffic_s", "fitting"), [(1, 99, 1), (1, 0, 2), (0, 99, 2)])
def test_a_lane_is_kept_while_somebody_scores(
    monkeypatch: pytest.MonkeyPatch, scored: int, traffic_s: float, fitting: int
) -> None:
    """Contract: on shared cores, for a while after an image was scored; then fits have all."""
    monkeypatch.setattr(queue, "TRAFFIC_S", traffic_s)
    double = Double(lanes=2)

    async def test() -> None:
        async with running(double, max_queue=100) as batcher:
            await asyncio.gather(*batcher.submit([image(1)] * scored))
            double.gate.clear()
            fitted = [await batcher.submit_when_room(image(FITTED)) for _ in range(4)]
            await until(lambda: batcher.under_way == fitting)
            await asyncio.sleep(0.05)
            assert batcher.under_way == fitting
            (next_one,) = batcher.submit([image(2)])
            await until(lambda: batcher.under_way == 2)
            double.gate.set()
            await asyncio.gather(next_one, *fitted)

    run(test())
    assert sorted(double.seen) == [1] * scored + [2] + [FITTED] * 4


@pytest.mark.parametrize(("scored", "under_way"), [(7, 1), (8, 2)])
def test_who_scores_all_the_time_starves_no_fit(
    monkeypatch: pytest.MonkeyPatch, scored: int, under_way: int
) -> None:
    """Contract: after nine images that were scored one is fitted, in that lane, too."""
    monkeypatch.setattr(queue, "TRAFFIC_S", 99)
    double = Double(lanes=2)

    async def test() -> None:
        async with running(double, max_queue=100) as batcher:
            await asyncio.gather(*batcher.submit([image(1)] * scored))
            double.gate.clear()
            (busy,) = batcher.submit([image(1)])
            await until(lambda: batcher.under_way == 1)
            fitted = await batcher.submit_when_room(image(FITTED))
            await until(lambda: batcher.under_way == under_way)
            await asyncio.sleep(0.05)
            assert batcher.under_way == under_way
            double.gate.set()
            await asyncio.gather(busy, fitted)

    run(test())


def test_a_second_counts_from_the_end_of_a_slow_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: a lane is kept, too, if to score takes longer than a lane is kept for."""
    double, clock = Double(lanes=2), Clock()
    monkeypatch.setattr(queue, "time", clock)

    async def test() -> None:
        async with running(double, max_queue=100) as batcher:
            double.gate.clear()
            (slow,) = batcher.submit([image(1)])
            await until(lambda: batcher.under_way == 1)
            clock.now_s += queue.TRAFFIC_S + 1
            double.gate.set()
            await slow
            double.gate.clear()
            fitted = [await batcher.submit_when_room(image(FITTED)) for _ in range(2)]
            await until(lambda: batcher.under_way == 1)
            await asyncio.sleep(0.05)
            assert batcher.under_way == 1
            double.gate.set()
            await asyncio.gather(*fitted)

    run(test())


@pytest.mark.parametrize(("shares_cores", "fitting"), [(True, 2), (False, 3)])
def test_of_many_lanes_one_is_kept_and_of_devices_none(
    monkeypatch: pytest.MonkeyPatch, shares_cores: bool, fitting: int
) -> None:
    """Contract: devices elsewhere are no cores that scoring would have to share."""
    monkeypatch.setattr(queue, "TRAFFIC_S", 99)
    monkeypatch.setattr(Double, "shares_cores", shares_cores)
    double = Double(lanes=3)

    async def test() -> None:
        async with running(double, max_batch=1, max_queue=100) as batcher:
            await asyncio.gather(*batcher.submit([image(1)]))
            double.gate.clear()
            fitted = [await batcher.submit_when_room(image(FITTED)) for _ in range(6)]
            await until(lambda: batcher.under_way == fitting)
            await asyncio.sleep(0.05)
            assert batcher.under_way == fitting
            double.gate.set()
            await asyncio.gather(*fitted)

    run(test())
