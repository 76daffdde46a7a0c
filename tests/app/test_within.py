"""Waiting for an event, but not for long."""

import asyncio

import pytest

from app.within import within


def test_it_is_told_whether_it_came() -> None:
    """Contract: at once if it has come, or if there is no time; when it comes; in the end."""

    async def test() -> None:
        event = asyncio.Event()
        assert not await within(0.0, event)
        assert not await within(-1.0, event)
        assert not await within(0.01, event)
        asyncio.get_running_loop().call_soon(event.set)
        assert await within(60.0, event)
        assert await within(0.0, event)

    asyncio.run(asyncio.wait_for(test(), 30))


def test_who_waits_can_be_cancelled() -> None:
    """Contract: that is no time that is up."""

    async def test() -> None:
        task = asyncio.create_task(within(60.0, asyncio.Event()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(test(), 30))
