"""Whether the service serves, and why not: what the probes answer.

Ready: it is warm, not stopping, nothing has died, no stage of scoring is stuck, and an image went
through within the last ``health_seconds``: one of the traffic's, or, while there is none, a canary.
An image that fails by no fault of its own has a canary sent at once.

Not alive: a part has died, or a stage has been stuck for ``HOPELESS`` times as long: a thread
cannot be ended from outside, so that only another process helps.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from app.errors import OverloadedError
from app.health.canary import Canary
from app.health.heartbeats import Heartbeats
from app.within import within

log = logging.getLogger(__name__)

HOPELESS = 4
RETRY_S = 1.0
"""How long after a canary the next one may be sent."""


class Health:
    """Sends canaries when they are needed, and says how things are; used in the event loop."""

    def __init__(
        self,
        heartbeats: Heartbeats,
        canary: Canary,
        patience_s: float,
        is_embedding: Callable[[], bool],
    ) -> None:
        self.heartbeats = heartbeats
        self.draining = False
        """Whether the process ends, and takes no new work."""
        self.warm = False
        self._canary = canary
        self._patience_s = patience_s
        self._is_embedding = is_embedding
        self._failure = ""

    async def warm_up(self) -> None:
        """Let the first request not be the slow one. Raises as ``Canary.send``."""
        await self._canary.send(judged=False)
        self.warm = True

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Send canaries as long as it lasts."""
        task = asyncio.create_task(self._watch(), name="canary")
        self.heartbeats.watch(task, "canary")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def age_s(self) -> float:
        """How long ago an image went through."""
        return time.monotonic() - self.heartbeats.proved_s

    def why_not_ready(self) -> list[str]:
        """Return why an image sent now might not be scored; nothing if it would be."""
        reasons = self.why_not_alive()
        if not self.warm:
            return [*reasons, "starting or stopping"]
        if self.draining:
            reasons.append("stopping: no new work is taken")
        for stage in self.heartbeats.stages:
            if stage.scores and stage.longest_s > self._patience_s:
                reasons.append(f"{stage.name}: stuck for {stage.longest_s:.0f} s")
        if self._failure:
            reasons.append(self._failure)
        if self.age_s > self._patience_s:
            reasons.append("no image has gone through lately")
        return reasons

    def why_not_alive(self) -> list[str]:
        """Return why only another process could go on; nothing if this one can."""
        reasons = [f"{part}: {why}" for part, why in self.heartbeats.dead.items()]
        if self.warm and not self._is_embedding() and not reasons:
            reasons.append("device: nothing can be embedded any more")
        for stage in self.heartbeats.stages:
            if stage.scores and stage.longest_s > HOPELESS * self._patience_s:
                reasons.append(f"{stage.name}: stuck for good")
        return reasons

    async def _watch(self) -> None:
        while True:
            # Half of it: the other half is the canary's to arrive in.
            idle_s = RETRY_S if self._failure else self._patience_s / 2 - self.age_s
            await within(max(0, idle_s), self.heartbeats.doubted)
            self.heartbeats.loop.beat()
            is_due = self.age_s >= self._patience_s / 2
            if is_due or self._failure or self.heartbeats.doubted.is_set():
                self.heartbeats.doubted.clear()
                await self._send()
                await asyncio.sleep(RETRY_S)

    async def _send(self) -> None:
        failure = ""
        try:
            async with asyncio.timeout(self._patience_s / 2):
                await self._canary.send()
        except OverloadedError:
            return  # it says nothing: those who are in its place prove what it would
        except TimeoutError:
            failure = f"an image of our own took more than {self._patience_s / 2:g} s"
        except Exception as error:
            failure = f"an image of our own failed: {type(error).__name__}"
            if failure != self._failure:  # not every second
                log.warning("%s", failure, exc_info=error)
        if self._failure and not failure:
            log.info("an image of our own goes through again")
        self._failure = failure
