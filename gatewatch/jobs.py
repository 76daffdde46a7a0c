"""What a job is to those who wait for it, whichever client they use."""

import json
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from gatewatch.answers import (
    AdaptedGates,
    Calibrated,
    DriftReplayInfo,
    Fitted,
    Forgotten,
    JobInfo,
    ReplayInfo,
)
from gatewatch.errors.base import JobCancelledError, UnexpectedAnswerError, raised
from gatewatch.reading import read

R = TypeVar("R")
RESULTS: dict[str, type[Any]] = {
    "fit": Fitted,
    "extend": Fitted,
    "forget": Forgotten,
    "calibrate": Calibrated,
    "replay": ReplayInfo,
    "drift-replay": DriftReplayInfo,
    "adapt": AdaptedGates,
}
"""What each kind of job says it did."""
ENDED = frozenset({"succeeded", "failed", "cancelled"})
FIRST_PAUSE_S, MOST_PAUSE_S, LONGER = 0.05, 2.0, 1.5


class Begun(Generic[R]):
    """A job that was submitted.

    Attributes:
        info: What was known of it when it was last asked about.
    """

    def __init__(self, info: JobInfo, result: type[R] | None) -> None:
        self.info = info
        self._result = result or RESULTS.get(info.kind)

    def __repr__(self) -> str:
        of = f" of {self.info.detector}" if self.info.detector else ""
        return f"<{type(self).__name__} {self.id}: {self.info.kind}{of}, {self.info.state}>"

    @property
    def id(self) -> str:
        """Under which the server knows it; ``client.job(id)`` gives it back."""
        return self.info.id

    @property
    def ended(self) -> bool:
        """Whether it had ended when it was last asked about."""
        return self.info.state in ENDED

    @property
    def result(self) -> R:
        """What came of it.

        Raises:
            ProblemError: if it failed; of the class of its problem.
            JobCancelledError: if it was cancelled.
            RuntimeError: if it has not ended as far as is known.
        """
        if self.info.state == "cancelled":
            raise JobCancelledError(f"job {self.id} was cancelled")
        if self.info.problem is not None:
            raise raised(self.info.problem)
        if not self.ended:
            raise RuntimeError(f"job {self.id} is {self.info.state}: wait for it")
        if self._result is None:  # of a kind that only newer clients know
            return self.info.result  # type: ignore[return-value]
        return read(self._result, self.info.result)

    def late(self, timeout_s: float) -> TimeoutError:
        """Return what is raised by those who do not wait any longer."""
        done = f"{self.info.images_done} of {self.info.images} images"
        return TimeoutError(f"job {self.id} is {self.info.state} after {timeout_s:g} s: {done}")


def pauses_s() -> Iterator[float]:
    """Yield how long to wait before each question after a job."""
    pause_s = FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(MOST_PAUSE_S, LONGER * pause_s)


class Events:
    """Reads a job's server-sent events from the pieces in which they come.

    Attributes:
        last: Id of the last event, from which a new stream goes on.
        ended: Whether the event came that says it was the last.
    """

    def __init__(self, last: str | None = None) -> None:
        self.last = last
        self.ended = False
        self.begin()

    def begin(self) -> None:
        """Forget half an event, for the stream begins anew."""
        self._rest = b""
        self._event: dict[str, str] = {}

    def feed(self, piece: bytes) -> list[JobInfo]:
        """Return what the events say that end with this piece."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        found = (self._line(line.removesuffix(b"\r").decode()) for line in lines)
        return [info for info in found if info is not None]

    def _line(self, line: str) -> JobInfo | None:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in self._event:
                value = f"{self._event['data']}\n{value}"
            self._event[name] = value
            return None
        event, self._event = self._event, {}
        if "data" not in event:  # a comment, which only says that the stream is alive
            return None
        self.last = event.get("id", self.last)
        self.ended = event.get("event") == "end"
        try:
            return read(JobInfo, json.loads(event["data"]))
        except ValueError as error:
            raise UnexpectedAnswerError(f"an event is no JSON: {event['data'][:100]!r}") from error
