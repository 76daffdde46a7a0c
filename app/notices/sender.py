"""Notices are delivered in the background, each sink by a task of its own: none waits for another.

An attempt that fails is repeated after ``FIRST_S``, then after twice as long each time up to
``LONGEST_S``, up to a half less by chance so that not all come at once, and never before the time
that the other side has asked for (``Retry-After``). A notice whose attempt fails ``GIVE_UP_S``
after it was made is given up: that is logged, counted, and shown in ``GET /v1/notices``; the next
one has its turn then. What has waited longer, because no server ran, has an attempt still.
"""

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.clock import now
from app.errors import NoSinkError, NotDeliveredError
from app.health.heartbeats import Heartbeats
from app.notice_telemetry import NoticeTelemetry
from app.notices.content import Content, trial
from app.notices.sinks import Sink
from app.storage.database import Database
from app.storage.outbox import Claimed, Outbox
from app.unbroken import unbroken

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often what waits is looked for."""
FIRST_S, LONGEST_S, GIVE_UP_S = 5.0, 3600.0, 24 * 3600.0
ATTEMPT_S = 30.0
"""Longest that an attempt may take, unless the webhook has longer."""
LEASE_SPARE_S = 30.0
"""A lease is longer than any attempt, by so much: else two would deliver one notice."""
SWEEP_S, KEPT_DAYS = 3600.0, 30
COMPLAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a test notice at one sink; no problem if it has arrived."""

    sink: str
    seconds: float
    problem: str | None


class Sender:
    """Works while a server runs; several processes share the notices of one database."""

    def __init__(
        self,
        database: Database,
        sinks: Mapping[str, Sink],
        telemetry: NoticeTelemetry,
        heartbeats: Heartbeats,
        longest_s: float = ATTEMPT_S,
    ) -> None:
        self.outbox = Outbox(database)
        self._sinks, self._telemetry, self._heartbeats = sinks, telemetry, heartbeats
        self._owner = uuid.uuid4().hex
        self._attempt_s = max(ATTEMPT_S, longest_s)
        self._tasks: list[asyncio.Task[None]] = []
        self._complained_s = -COMPLAIN_S
        for sink in sinks:
            telemetry.watch(sink)

    @property
    def sinks(self) -> Sequence[str]:
        """Where notices go."""
        return list(self._sinks)

    async def __aenter__(self) -> "Sender":
        work = {name: self._deliver_all(name, sink) for name, sink in self._sinks.items()}
        for name, each in (work | {"sweep": self._sweep()}).items():
            task = asyncio.create_task(each, name=f"notices {name}")
            self._heartbeats.watch(task, f"notices {name}")
            self._tasks.append(task)
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await asyncio.to_thread(self.outbox.release, self._owner)
        except Exception as error:
            log.warning("notices under way are not sent before their lease runs out: %s", error)

    async def try_all(self) -> list[Tried]:
        """Send a test notice to every sink, at once, past what waits; return what became of it.

        Raises:
            NoSinkError: if there is none.
        """
        if not self._sinks:
            raise NoSinkError(
                "notices go nowhere: set GATEWATCH_WEBHOOK_URL, GATEWATCH_MQTT_URL or "
                "GATEWATCH_NOTICES_DIR"
            )
        content = trial(uuid.uuid4().hex, now())
        return await asyncio.gather(
            *(self._try(name, sink, content) for name, sink in self._sinks.items())
        )

    async def _try(self, name: str, sink: Sink, content: Content) -> Tried:
        begun_s = time.monotonic()
        failed = await self._attempt(sink, content)
        return Tried(name, time.monotonic() - begun_s, str(failed) if failed else None)

    async def _deliver_all(self, name: str, sink: Sink) -> None:
        while True:
            try:
                more = await self._deliver_next(name, sink)
                waiting = await asyncio.to_thread(self.outbox.waiting, name)
                self._telemetry.waits(name, waiting)
            except Exception as error:  # the next look may do better
                more = False
                self._complain("notices cannot be read or settled", error)
            if not more:
                await asyncio.sleep(LOOK_S)

    async def _deliver_next(self, name: str, sink: Sink) -> bool:
        """Make one attempt, if one is due; return whether there was."""
        lease_s = self._attempt_s + LEASE_SPARE_S
        claim = asyncio.to_thread(self.outbox.claim, name, self._owner, lease_s)
        claimed = await unbroken(claim)
        if claimed is None:
            return False
        failed = await self._attempt(sink, claimed.content)
        await unbroken(asyncio.to_thread(self._settle, claimed, failed))
        return True

    async def _attempt(self, sink: Sink, content: Content) -> NotDeliveredError | None:
        try:
            async with asyncio.timeout(self._attempt_s):
                await sink.deliver(content)
        except NotDeliveredError as error:
            return error
        except TimeoutError:
            return NotDeliveredError(f"nothing was heard in {self._attempt_s:g} s")
        except Exception as error:
            log.exception("a notice failed as none should")
            return NotDeliveredError(f"the server failed: {type(error).__name__}")
        return None

    def _settle(self, claimed: Claimed, failed: NotDeliveredError | None) -> None:
        sink, identity = claimed.sink, claimed.content["id"]
        if failed is None:
            self.outbox.settle(claimed, self._owner, "delivered")
            self._telemetry.attempted(sink, "delivered")
        elif failed.final or now() - claimed.made_at >= timedelta(seconds=GIVE_UP_S):
            self.outbox.settle(claimed, self._owner, "given_up", str(failed))
            self._telemetry.attempted(sink, "given_up")
            log.error(
                "notice %s is given up after %d attempts: %s", identity, claimed.attempts, failed
            )
        else:
            wait_s = pause_s(claimed.attempts, failed.retry_after_s)
            self.outbox.put_off(claimed, self._owner, wait_s, str(failed))
            self._telemetry.attempted(sink, "retried")
            log.warning("notice %s is tried again in %.0f s: %s", identity, wait_s, failed)

    async def _sweep(self) -> None:
        while True:
            before = now() - timedelta(days=KEPT_DAYS)
            try:
                while await unbroken(asyncio.to_thread(self.outbox.sweep, before)):
                    continue
            except Exception as error:
                self._complain("old notices cannot be removed", error)
            await asyncio.sleep(SWEEP_S)

    def _complain(self, why: str, error: Exception) -> None:
        moment_s = time.monotonic()
        if moment_s - self._complained_s >= COMPLAIN_S:
            self._complained_s = moment_s
            log.error("%s", why, exc_info=error)


def pause_s(attempts: int, asked_s: float) -> float:
    """Return how long to wait after so many failed attempts, the other side asking for so much.

    FIRST_S 2^(attempts - 1), at most LONGEST_S, times a chance number in (0.5, 1]; what is asked
    for goes before, up to a day.
    """
    grown_s = min(LONGEST_S, FIRST_S * 2.0 ** min(attempts - 1, 30))
    return max(grown_s * (1 - random.random() / 2), min(asked_s, GIVE_UP_S))
