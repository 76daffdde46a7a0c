"""A job's events, read from as many streams as it takes: when the next is opened, and whether.

A stream that brings an event, that goes on for a while and brings a sign of life, or that lasts and
is ended in good order begins the tries anew: servers end streams now and then. One that fails, or
that ends at once without any event, uses up a try.
"""

import time
from collections.abc import Callable, Iterator

from gatewatch.answers import JobInfo
from gatewatch.calls import Answer, Call
from gatewatch.errors.base import UnexpectedAnswerError
from gatewatch.jobs import FIRST_PAUSE_S, Events
from gatewatch.operations.learning import watch
from gatewatch.retrying import Retries, Tries

EVENTS = "text/event-stream"
LASTING_S = 10.0
"""After so long a comment is a sign of life; the server sends one every fifteen seconds."""
HELD_S = 2.0
"""After so long the end of a stream is the server's way, and no failure."""


class Following:
    """What is known of a job's events while they come.

    Attributes:
        pause_s: How long to wait before the next stream is opened.
    """

    def __init__(
        self,
        retries: Retries,
        job: str,
        last: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.pause_s = 0.0
        self._retries = retries
        self._job = job
        self._clock = clock
        self._events = Events(last)
        self._tries: Tries | None = None

    @property
    def ended(self) -> bool:
        """Whether the last event has come."""
        return self._events.ended

    def begin(self) -> Call[JobInfo]:
        """Return the request for a stream of what is not known yet."""
        self._call = watch(self._job, self._events.last)
        self._events.begin()
        self._began_s = self._clock()
        self._told = False
        return self._call

    @staticmethod
    def is_stream(status: int, media_type: str) -> bool:
        """Whether an answer brings events, and is not to be read as a whole."""
        return status == 200 and media_type.partition(";")[0].strip().lower() == EVENTS

    def instead(self, answer: Answer) -> None:
        """Take an answer that is no stream.

        Raises:
            ProblemError: if the server says what is wrong, and that does not pass.
            UnexpectedAnswerError: if it is no answer of this API.
        """
        pause_s = self._current().after_answer(answer)
        if pause_s is None:
            if self._call.is_answer(answer):
                kind = answer.headers.get("content-type", "nothing")
                raise UnexpectedAnswerError(
                    f"{self._call.route}: {kind} came and no {EVENTS}: is this the address of a "
                    "gatewatch?"
                )
            self._call.outcome(answer)
        self.pause_s = pause_s or 0.0

    def feed(self, piece: bytes) -> Iterator[JobInfo]:
        """Yield the events that end with this piece."""
        if self._clock() - self._began_s >= LASTING_S:
            self._tries = None
        for info in self._events.feed(piece):
            self._tries, self._told = None, True
            yield info

    def end(self) -> None:
        """Take the end of a stream. Raises ServerUnreachableError if there is to be no other."""
        self.pause_s = FIRST_PAUSE_S
        if self._clock() - self._began_s >= HELD_S:
            self._tries = None
        elif not (self._told or self.ended):
            empty = EOFError("the stream of events ended without any")
            self.failed(empty, sent=True, passing=True)

    def failed(self, error: Exception, *, sent: bool, passing: bool) -> None:
        """Take a failure. Raises ServerUnreachableError if there is to be no other stream."""
        self.pause_s = self._current().after_failure(error, sent=sent, passing=passing)

    def _current(self) -> Tries:
        self._tries = self._tries or self._retries.begin(self._call, clock=self._clock)
        return self._tries
