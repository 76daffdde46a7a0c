"""A job to wait for."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from gatewatch.answers import JobInfo
from gatewatch.jobs import Begun, pauses_s
from gatewatch.progress import bar

if TYPE_CHECKING:
    from gatewatch.synchronous import Client

R = TypeVar("R")


class Job(Begun[R], Generic[R]):
    """A job that runs on the server, whether somebody waits for it or not."""

    def __init__(self, client: "Client", info: JobInfo, result: type[R] | None = None) -> None:
        super().__init__(info, result)
        self._client = client

    def refresh(self) -> JobInfo:
        """Ask how far it is."""
        self.info = self._client.job_info(self.id)
        return self.info

    def wait(self, timeout_s: float | None = None, *, progress: bool = False) -> R:
        """Wait for its end and return what came of it.

        Raises:
            ProblemError: if it failed; of the class of its problem.
            JobCancelledError: if it was cancelled.
            TimeoutError: if it has not ended in time; it goes on.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        with bar(progress, self.info.kind) as shown:
            for pause_s in pauses_s():
                shown.at(self.info.images_done, self.info.images)
                if self.ended:
                    return self.result
                left_s = pause_s if deadline_s is None else deadline_s - time.monotonic()
                if left_s <= 0:
                    raise self.late(timeout_s or 0.0)
                time.sleep(min(pause_s, left_s))
                self.refresh()
        raise AssertionError("pauses do not end")

    def events(self) -> Iterator[JobInfo]:
        """Yield what it is like whenever that changes, until its end."""
        for info in self._client.events(self.id):
            self.info = info
            yield info

    def cancel(self, reason: str = "") -> JobInfo:
        """Cancel it: no version is made."""
        self.info = self._client.cancel(self.id, reason=reason)
        return self.info
