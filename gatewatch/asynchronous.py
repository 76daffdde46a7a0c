"""The client that is awaited: many requests at once in one event loop."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from gatewatch.answers import JobInfo
from gatewatch.api import Api
from gatewatch.async_job import AsyncJob
from gatewatch.bodies import Mask
from gatewatch.calls import After, Answer, Call, Listing, Request, Submission
from gatewatch.connection import (
    TIMEOUT_S,
    Connection,
    answer_of,
    failure_of,
    request_of,
    saving,
    shown,
)
from gatewatch.files import LEAVE_S, FileScore, FolderRun, InOrder, Order, checked
from gatewatch.following import Following
from gatewatch.images import Path_
from gatewatch.progress import bar
from gatewatch.retrying import Retries

T = TypeVar("T")
R = TypeVar("R")


async def _threaded(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield pieces of files, which are read off the event loop."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


async def _left(pending: set[asyncio.Task[FileScore]]) -> list[asyncio.Task[FileScore]]:
    """Wait for what is on its way, though not for long; return what has come of it."""
    try:
        if pending:
            await asyncio.wait(pending, timeout=LEAVE_S)
    finally:
        for task in pending:
            task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return [task for task in pending if not task.cancelled() and not task.exception()]


class AsyncClient(Api):
    """A server of gatewatch, from Python with asyncio.

    Its methods are the operations of ``gatewatch.api``, to be awaited; lists and folders are gone
    through with ``async for``, and jobs can be awaited. Use it in an ``async with`` statement.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        retries: Retries | int | None = None,
        verify: Any = True,
    ) -> None:
        """Take the same as ``Client``."""
        import httpx

        self._connection = Connection.given(url, api_key, timeout, retries, verify)
        self._failures = httpx.TransportError
        self._http = httpx.AsyncClient(**self._connection.settings)

    def __repr__(self) -> str:
        return f"AsyncClient({shown(self._connection.url)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def job(self, id: str) -> AsyncJob[Any]:
        """Return a job that was submitted before, here or elsewhere."""
        return AsyncJob(self, await self.job_info(id))

    def score_folder(
        self,
        name: str,
        folder: Path_,
        *,
        concurrency: int = 4,
        progress: bool = False,
        results: Path_ | None = None,
        order: Order = "path",
        mask: Mask = None,
        version: int | None = None,
        allow_stale: bool = False,
        group: str = "",
        places: bool | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[FileScore, None]:
        """Score every sample below a folder, as ``Client.score_folder`` does.

        Who stops early closes it (``contextlib.aclosing``): after ``break`` alone it is open until
        it is collected at some later time, and what is on its way is not kept before.
        """
        how = {"mask": mask, "version": version, "timeout_s": timeout_s}
        how |= {"allow_stale": allow_stale or None, "group": group or None, "places": places}
        run = FolderRun(name, folder, results, how)
        return self._folder(run, checked(concurrency, order), progress, order)

    async def send(self, call: Request[T]) -> T:
        """Send a request, again where that helps and does no harm; return what came of it.

        Raises:
            ProblemError: if the server says what is wrong.
            ServerUnreachableError: if no answer came.
        """
        while isinstance(call, After):
            call = call.then(await self.send(call.first))
        tries = self._connection.retries.begin(call)
        while True:
            try:
                answer = await self._once(call)
            except self._failures as error:
                pause_s = tries.after_failure(error, **failure_of(error))
            else:
                again_s = tries.after_answer(answer)
                if again_s is None:
                    return call.outcome(answer)
                pause_s = again_s
            await asyncio.sleep(pause_s)

    async def submit(self, submission: Submission[R]) -> AsyncJob[R]:
        """Begin a job."""
        return AsyncJob(self, await self.send(submission.call), submission.result)

    async def pages(self, listing: Listing[T]) -> AsyncIterator[T]:
        """Go through a list, a page at a time."""
        cursor, left = None, listing.most
        while left is None or left > 0:
            items, cursor = listing.items(await self.send(listing.page(cursor)))
            for item in items[:left]:
                yield item
            left = None if left is None else left - len(items)
            if cursor is None:
                return

    async def events(self, job: str, last: str | None = None) -> AsyncIterator[JobInfo]:
        """Yield what a job is like whenever that changes, until its end.

        A stream that breaks is taken up where it stopped.
        """
        following = Following(self._connection.retries, job, last)
        timeout = self._connection.stream_timeout()
        while not following.ended:
            await asyncio.sleep(following.pause_s)
            asked = request_of(following.begin(), None)
            try:
                async with self._http.stream(**asked, timeout=timeout) as response:
                    media_type = response.headers.get("content-type", "")
                    if following.is_stream(response.status_code, media_type):
                        async for piece in response.aiter_bytes():
                            for info in following.feed(piece):
                                yield info
                        following.end()
                    else:
                        following.instead(answer_of(response, await response.aread()))
            except self._failures as error:
                following.failed(error, **failure_of(error))

    async def _once(self, call: Call[Any]) -> Answer:
        content = None if call.body is None else _threaded(call.body.pieces())
        async with self._http.stream(**request_of(call, content)) as response:
            if call.to is None or response.status_code != 200:
                return answer_of(response, await response.aread())
            with saving(call.to) as file:
                async for piece in response.aiter_bytes():
                    await asyncio.to_thread(file.write, piece)
            return answer_of(response, b"")

    async def _folder(
        self, run: FolderRun, concurrency: int, progress: bool, order: Order
    ) -> AsyncGenerator[FileScore, None]:
        pending: set[asyncio.Task[FileScore]] = set()
        with run.opened(), bar(progress, run.name) as shown:
            if run.look is not None:
                run.find(await self.send(run.look))
            files, done = iter(run.todo), len(run.kept)
            turns = InOrder(run.paths, order, run.kept)
            shown.at(done, len(run.paths))
            for score in turns.take():
                yield score
            try:
                while True:
                    room = turns.room(concurrency, len(pending))
                    sent = (self._file(run, path) for path in islice(files, room))
                    pending |= {asyncio.create_task(each) for each in sent}
                    if not pending:
                        return
                    ended, pending = await asyncio.wait(
                        pending, return_when=asyncio.FIRST_COMPLETED
                    )
                    failed = [task for task in ended if task.exception()]
                    scores = [task.result() for task in ended if task not in failed]
                    for score in scores:
                        run.keep(score)
                    done += len(scores)
                    shown.at(done, len(run.paths))
                    if failed:
                        failed[0].result()
                    for score in turns.take(scores):
                        yield score
            except asyncio.CancelledError:
                for task in pending:
                    task.cancel()
                raise
            finally:  # what was sent is kept, however this ends
                for task in await _left(pending):
                    run.keep(task.result())

    async def _file(self, run: FolderRun, path: str) -> FileScore:
        try:
            return await self.send(run.call(path))
        except OSError as error:
            return run.unreadable(path, error)
