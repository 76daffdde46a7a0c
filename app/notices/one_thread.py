"""A thread of its own for calls that may hang, as on a disk or a broker that does not answer.

On the threads that all share, each attempt that hangs would keep one of them, until there is none.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from app.errors import NotDeliveredError


class OneThread:
    """Makes one call at a time; while one hangs no other begins."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=what)
        self._last: Future[None] | None = None

    async def run(self, call: Callable[[], None]) -> None:
        """Make a call.

        Raises:
            NotDeliveredError: if the one before has not come back.
            whatever the call does.
        """
        if self._last is not None and not self._last.done():
            raise NotDeliveredError(f"the {self._what} does not answer: the last attempt hangs")
        self._last = self._pool.submit(call)
        await asyncio.wrap_future(self._last)
