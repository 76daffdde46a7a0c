"""What an ingest has under way when its reader leaves, it is stopped or a source fails: it ends."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from batching_helpers import Double, Running, run, turns, until
from ingest_helpers import LOOK, WINDOW, Counted, picture

from app.errors import UnavailableError
from app.images.sources import Source
from app.scoring.arriving import Arrived


async def _unreadable() -> bytes:
    raise PermissionError("not yours")


@pytest.fixture
def double() -> Double:
    return Double()


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
