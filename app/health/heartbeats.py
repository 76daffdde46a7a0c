"""Where work stands: each stage knows its calls under way, and every part says when it dies.

A stage is stuck if one of its calls has been under way for too long. This tells a thread that
hangs from others that go on, and needs no work of its own to be seen.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from app.telemetry import Telemetry

R = TypeVar("R")
log = logging.getLogger(__name__)


class ThreadEndedError(RuntimeError):
    """What a thread was at would have ended it, or the process, instead of failing."""


class Stage:
    """One stage; may be used on any thread."""

    def __init__(self, name: str, *, scores: bool) -> None:
        self.name = name
        self.scores = scores
        """Whether every image that is scored goes through it."""
        self.progress_at = time.time()
        """When it last finished something, in Unix time."""
        self._begun: dict[object, float] = {}

    @property
    def calls(self) -> int:
        """How many are under way."""
        return len(self._begun)

    @property
    def longest_s(self) -> float:
        """For how long the oldest call has been under way; 0 if there is none."""
        begun = tuple(self._begun.values())
        return time.monotonic() - min(begun) if begun else 0.0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count what is done within as a call."""
        token = object()
        self._begun[token] = time.monotonic()
        try:
            yield
        finally:
            del self._begun[token]
            self.beat()

    def beat(self) -> None:
        """Say that it goes on."""
        self.progress_at = time.time()

    def run(self, call: Callable[[], R]) -> R:
        """Make a call on a thread.

        Raises:
            ThreadEndedError: in place of what is no ``Exception``, as ``SystemExit``: handed on to
                the event loop it would end the process with everybody unanswered.
        """
        with self.call():
            try:
                return call()
            except Exception:
                raise
            except BaseException as ending:
                raise ThreadEndedError(f"{self.name}: {ending!r}") from ending


class Heartbeats:
    """All stages, when an image last went through, and which parts have died.

    Parts that are used by themselves, without a service, have one of their own.
    """

    def __init__(self, telemetry: Telemetry | None = None) -> None:
        self.decode = Stage("decode", scores=True)
        self.device = Stage("device", scores=True)
        self.judge = Stage("judge", scores=True)
        self.learn = Stage("learn", scores=False)
        """What the threads of learning do: statistics of fits; some of it takes long."""
        self.loop = Stage("loop", scores=False)
        self.history = Stage("history", scores=False)
        self.jobs = Stage("jobs", scores=False)
        self.sweep = Stage("sweep", scores=False)
        self.stages = [stage for stage in vars(self).values() if isinstance(stage, Stage)]
        self.dead: dict[str, str] = {}
        """Parts that do nothing any more, and why: only another process has them again."""
        self.proved_s = -float("inf")
        """Of ``time.monotonic``: when an image was last decoded, queued and embedded."""
        self.doubted = asyncio.Event()
        """Set when something failed that should not have."""
        if telemetry is not None:
            for stage in self.stages:
                _show(telemetry, stage)

    def proved(self) -> None:
        """Say that an image was embedded; in the event loop."""
        self.proved_s = time.monotonic()
        self.loop.beat()

    def doubt(self) -> None:
        """Say that something failed that should not have, so that it is tried; in the loop."""
        self.doubted.set()

    def died(self, part: str, why: str) -> None:
        """Say that a part does nothing any more."""
        self.dead.setdefault(part, why)

    def watch(self, task: "asyncio.Task[None]", part: str) -> None:
        """Let no task end by an error without a word: ``part`` is dead then.

        Tasks of the service are stopped, by being cancelled or told; they have no other end.
        """

        def ended(task: "asyncio.Task[None]") -> None:
            error = None if task.cancelled() else task.exception()
            if error is not None:
                log.critical("%s has ended: start the service again", part, exc_info=error)
                self.died(part, f"it ended by {type(error).__name__}")

        task.add_done_callback(ended)


def _show(telemetry: Telemetry, stage: Stage) -> None:
    telemetry.stage(stage.name, lambda: stage.progress_at, lambda: stage.calls)
