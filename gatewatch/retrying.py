"""When a request is sent again, and after how long.

Exponential backoff with full jitter: before try n + 1 a pause drawn evenly from 0 to
min(most_s, first_s * 2^n), so that clients that failed together do not come back together. Where
the server says when (Retry-After), its word is a lower bound, and the jitter comes on top.

A request that may have been carried out is repeated only where that does no harm. A connection
that was never made, and 429, with which nothing was done, let any request be repeated.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gatewatch.calls import Answer, Call
from gatewatch.errors.base import ServerUnreachableError, retry_after_s

REFUSED = 429
MOST_DOUBLED = 60
"""How often a pause is doubled at most, far beyond any bound: more would overflow."""
PASSING = frozenset({502, 503, 504})
"""Statuses that pass: of a proxy that finds no server, of a server that is busy or stopping."""
FAILED = 500
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Retries:
    """How patient a client is with each request.

    Attributes:
        most: Times that a request is sent again; 0 for never, None for as often as time allows.
        within_s: Counted from the first failure, for sending much may take longer than all pauses:
            no pause begins that would end later.
        first_s: Bound of the first pause; each further one is twice as long.
        most_s: Longest pause, unless the server asks for a longer one.
    """

    most: int | None = None
    within_s: float = 60.0
    first_s: float = 0.2
    most_s: float = 8.0

    def __post_init__(self) -> None:
        if min(self.most or 0, self.within_s, self.first_s, self.most_s) < 0:
            raise ValueError("retries cannot be negative")

    def begin(self, call: Call[Any], *, clock: Callable[[], float] = time.monotonic) -> "Tries":
        """Return the tries of one request."""
        return Tries(self, call, clock)


class Tries:
    """The tries of one request."""

    def __init__(self, retries: Retries, call: Call[Any], clock: Callable[[], float]) -> None:
        self._retries = retries
        self._call = call
        self._clock = clock
        self._failed_s: float | None = None
        self._pauses = 0

    def after_answer(self, answer: Answer) -> float | None:
        """Return for how long to wait before the next try; None if the answer stands."""
        passing = _passes(answer) and self._call.may_repeat
        refused = answer.status == REFUSED and self._call.has_again
        if self._call.is_answer(answer) or not (passing or refused):
            return None
        return self._pause_s(retry_after_s(answer.headers))

    def after_failure(self, error: Exception, *, sent: bool, passing: bool = True) -> float:
        """Return for how long to wait before the next try.

        Args:
            error: What went wrong.
            sent: Whether the request may have reached the server.
            passing: Whether another try may go better.

        Raises:
            ServerUnreachableError: if there is to be no other try.
        """
        may = self._call.may_repeat if sent else self._call.has_again
        pause_s = self._pause_s(None) if may and passing else None
        if pause_s is not None:
            return pause_s
        tries = f"after {self._pauses + 1} tries" if self._pauses else "at the first try"
        doubt = "; it may have been carried out" if sent and not self._call.may_repeat else ""
        raise ServerUnreachableError(
            f"{self._call.route}: no answer {tries} ({type(error).__name__}: {error}){doubt}"
        ) from error

    def _pause_s(self, asked_s: float | None) -> float | None:
        retries = self._retries
        if retries.most is not None and self._pauses >= retries.most:
            return None
        now_s = self._clock()
        self._failed_s = now_s if self._failed_s is None else self._failed_s
        doubled = 2.0 ** min(self._pauses, MOST_DOUBLED)
        bound_s = min(retries.most_s, retries.first_s * doubled)
        pause_s = random.uniform(0, bound_s) + (asked_s or 0.0)
        if now_s - self._failed_s + pause_s > retries.within_s:
            return None
        self._pauses += 1
        return pause_s


def _passes(answer: Answer) -> bool:
    """Whether another try may go better; 500 in other words than the service's is a proxy's."""
    ours = answer.headers.get("content-type", "").startswith(PROBLEM)
    return answer.status in PASSING or (answer.status == FAILED and not ours)
