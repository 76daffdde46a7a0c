"""A job to be awaited."""

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gatewatch.answers import JobInfo
from gatewatch.jobs import Begun, pauses_s
from gatewatch.progress import bar

if TYPE_CHECKING:
    from gatewatch.asynchronous import AsyncClient

R = TypeVar("R")


class AsyncJob(Begun[R], Generic[R]):
    """A job that runs on the server; awaiting it waits for its end and gives what came of it."""

    def __init__(self, client: "AsyncClient", info: JobInfo, result: type[R] | None = None) -> None:
        super().__init__(info, result)
        self._client = client

    def __await__(self) -> Generator[Any, None, R]:
        return self.wait().__await__()

    async def refresh(self) -> JobInfo:
        """Ask how far it is."""
        self.info = await self._client.job_info(self.id)
        return self.info

    async def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> R:
        """Wait for its end and return what came of it.

        Raises:
            ProblemError: if it failed; of the class of its problem.
            JobCancelledError: if it was cancelled.
            TimeoutError: if it has not ended in time; it goes on.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._waited(progress)
        except TimeoutError as error:
            raise self.late(timeout_s or 0.0) from error

    async def events(self) -> AsyncIterator[JobInfo]:
        """Yield what it is like whenever that changes, until its end."""
        async for info in self._client.events(self.id):
            self.info = info
            yield info

    async def cancel(self, reason: str = "") -> JobInfo:
        """Cancel it: no version is made."""
        self.info = await self._client.cancel(self.id, reason=reason)
        return self.info

    async def _waited(self, progress: bool) -> R:
        with bar(progress, self.info.kind) as shown:
            for pause_s in pauses_s():
                shown.at(self.info.images_done, self.info.images)
                if self.ended:
                    return self.result
                await asyncio.sleep(pause_s)
                await self.refresh()
        raise AssertionError("pauses do not end")
