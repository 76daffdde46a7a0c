"""The client that waits: one request after the other, or from several threads at once."""

import time
from collections.abc import Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from functools import partial
from itertools import islice
from threading import Event
from types import TracebackType
from typing import Any, Self, TypeVar

from gatewatch.answers import JobInfo
from gatewatch.api import Api
from gatewatch.background import started
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
from gatewatch.job import Job
from gatewatch.progress import bar
from gatewatch.retrying import Retries

T = TypeVar("T")
R = TypeVar("R")


class Client(Api):
    """A server of gatewatch, from Python.

    Its methods are the operations of ``gatewatch.api``; they can be called from several threads.
    Use it in a ``with`` statement, or close it.
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
        """Take the address and the key from the environment where they are not given.

        Args:
            url: Of the server; else GATEWATCH_URL, else http://127.0.0.1:8000.
            api_key: Else GATEWATCH_API_KEY; none is needed where the server asks for none.
            timeout: Seconds for which nothing may come or go.
            retries: How often, or in detail how, requests are repeated that may be.
            verify: Whether the server's certificate is checked, or the ssl.SSLContext for it.

        Raises:
            ValueError: if the address is none of HTTP, or the key is none.
        """
        import httpx

        self._connection = Connection.given(url, api_key, timeout, retries, verify)
        self._failures = httpx.TransportError
        self._http = httpx.Client(**self._connection.settings)

    def __repr__(self) -> str:
        return f"Client({shown(self._connection.url)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def job(self, id: str) -> Job[Any]:
        """Return a job that was submitted before, here or elsewhere."""
        return Job(self, self.job_info(id))

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
    ) -> Generator[FileScore, None, None]:
        """Score every sample below a folder, some at once, and yield results as they come.

        With ``results``, the path of a file, a second run goes on where the first stopped. What
        it had done is yielded, too. A file that cannot be scored has its problem in its result.
        Who stops early waits for what is on its way, though not for long.
        """
        how = {"mask": mask, "version": version, "timeout_s": timeout_s}
        how |= {"allow_stale": allow_stale or None, "group": group or None, "places": places}
        run = FolderRun(name, folder, results, how)
        return self._folder(run, checked(concurrency, order), progress, order)

    def send(self, call: Request[T]) -> T:
        """Send a request, again where that helps and does no harm; return what came of it.

        Raises:
            ProblemError: if the server says what is wrong.
            ServerUnreachableError: if no answer came.
        """
        while isinstance(call, After):
            call = call.then(self.send(call.first))
        return self._send(call, Event())

    def submit(self, submission: Submission[R]) -> Job[R]:
        """Begin a job."""
        return Job(self, self.send(submission.call), submission.result)

    def pages(self, listing: Listing[T]) -> Iterator[T]:
        """Go through a list, a page at a time."""
        return islice(self._all(listing), listing.most)

    def events(self, job: str, last: str | None = None) -> Iterator[JobInfo]:
        """Yield what a job is like whenever that changes, until its end.

        A stream that breaks is taken up where it stopped.
        """
        following = Following(self._connection.retries, job, last)
        timeout = self._connection.stream_timeout()
        while not following.ended:
            time.sleep(following.pause_s)
            asked = request_of(following.begin(), None)
            try:
                with self._http.stream(**asked, timeout=timeout) as response:
                    media_type = response.headers.get("content-type", "")
                    if following.is_stream(response.status_code, media_type):
                        for piece in response.iter_bytes():
                            yield from following.feed(piece)
                        following.end()
                    else:
                        following.instead(answer_of(response, response.read()))
            except self._failures as error:
                following.failed(error, **failure_of(error))

    def _send(self, call: Call[T], stopped: Event) -> T:
        """Send a request, again as long as nobody has stopped that."""
        tries = self._connection.retries.begin(call)
        while True:
            try:
                answer = self._once(call)
            except self._failures as error:
                pause_s = tries.after_failure(error, **failure_of(error))
            else:
                again_s = tries.after_answer(answer)
                if again_s is None:
                    return call.outcome(answer)
                pause_s = again_s
            if stopped.wait(pause_s):
                raise CancelledError

    def _once(self, call: Call[Any]) -> Answer:
        content = None if call.body is None else call.body.pieces()
        with self._http.stream(**request_of(call, content)) as response:
            if call.to is None or response.status_code != 200:
                return answer_of(response, response.read())
            with saving(call.to) as file:
                for piece in response.iter_bytes():
                    file.write(piece)
            return answer_of(response, b"")

    def _all(self, listing: Listing[T]) -> Iterator[T]:
        cursor = None
        while True:
            items, cursor = listing.items(self.send(listing.page(cursor)))
            yield from items
            if cursor is None:
                return

    def _folder(
        self, run: FolderRun, concurrency: int, progress: bool, order: Order
    ) -> Generator[FileScore, None, None]:
        pending: set[Future[FileScore]] = set()
        stopped = Event()
        with run.opened(), bar(progress, run.name) as shown:
            if run.look is not None:
                run.find(self.send(run.look))
            files, done = iter(run.todo), len(run.kept)
            turns = InOrder(run.paths, order, run.kept)
            shown.at(done, len(run.paths))
            yield from turns.take()
            try:
                while True:
                    room = turns.room(concurrency, len(pending))
                    sent = (partial(self._file, run, path, stopped) for path in islice(files, room))
                    pending |= {started(each) for each in sent}
                    if not pending:
                        return
                    ended, pending = wait(pending, return_when=FIRST_COMPLETED)
                    failed = [future for future in ended if future.exception()]
                    scores = [future.result() for future in ended if future not in failed]
                    for score in scores:
                        run.keep(score)
                    done += len(scores)
                    shown.at(done, len(run.paths))
                    if failed:
                        failed[0].result()
                    yield from turns.take(scores)
            finally:  # what was sent is kept, however this ends
                stopped.set()
                for future in wait(pending, LEAVE_S).done:
                    if not future.exception():
                        run.keep(future.result())

    def _file(self, run: FolderRun, path: str, stopped: Event) -> FileScore:
        try:
            return self._send(run.call(path), stopped)
        except OSError as error:
            return run.unreadable(path, error)
