"""To wait for threads to their end, for they cannot be stopped halfway; and for all or none."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from app.priority import give_way

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


class _StoppedError(Exception):
    """Nobody waits for the work any more."""


async def stoppable(work: Callable[[Callable[[], None]], T]) -> T:
    """Run long work on a thread of its own; cancelled, wait until it has noticed and ended.

    Args:
        work: is given a function to call often, which raises once it shall stop.
    """
    stop = threading.Event()

    def require_going() -> None:
        if stop.is_set():
            raise _StoppedError

    thread = ThreadPoolExecutor(1, thread_name_prefix="work", initializer=give_way)
    working = asyncio.get_running_loop().run_in_executor(thread, work, require_going)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        while not working.done():  # it reads images that are closed after this
            with contextlib.suppress(asyncio.CancelledError):  # whoever cancels says so repeatedly
                await asyncio.wait({working})
        working.exception()  # nobody wants to know
        raise
    finally:
        thread.shutdown(wait=False)
