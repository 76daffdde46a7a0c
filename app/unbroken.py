"""To wait for a thread: what it does cannot be stopped halfway, so its end is waited for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Return what a thread that ``work`` awaits has done; if cancelled meanwhile, wait for it too.

    Else the thread would go on by itself, and write what its caller believes was never written.

    Raises:
        CancelledError: once the thread is done, if this was cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
