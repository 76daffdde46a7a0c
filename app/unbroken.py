"""To wait for threads to their end, for they cannot be stopped halfway; and for all or none."""

import asyncio
from collections.abc import Coroutine, Iterable
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


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what all give, in order; if one fails, or nobody waits any more, none goes on."""
    coroutines = list(work)
    if len(coroutines) == 1:  # the usual request brings one image
        return [await coroutines[0]]
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
