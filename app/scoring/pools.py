"""Threads beside the event loop: some decode and judge, others are for learning.

Learning has threads of its own: merging rows and writing them to a slow bucket may take long.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.errors import UnavailableError
from app.health.heartbeats import Heartbeats, Stage
from app.scoring.batching import Batcher
from detector.errors import DetectorError

log = logging.getLogger(__name__)

R = TypeVar("R")


class Pools:
    """Both; no request of several images can be scored without the first.

    Args:
        threads: that decode and judge; half as many learn.
        heartbeats: what is told if a pool is gone.
        batcher: whose ``on_fatal`` is called then.
    """

    def __init__(self, threads: int, heartbeats: Heartbeats, batcher: Batcher) -> None:
        self.stopping = False
        self.half = max(1, threads // 2)
        self._heartbeats = heartbeats
        self._batcher = batcher
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._learning = ThreadPoolExecutor(self.half, thread_name_prefix="learn")

    async def run(self, call: Callable[[], R], stage: Stage | None = None) -> R:
        """Run a call on the pool of its stage, which is learning unless told.

        Raises:
            UnavailableError: if the pool takes no more work.
        """
        pool = self._learning if stage is None else self._pool
        run = (stage or self._heartbeats.learn).run
        try:
            running = asyncio.get_running_loop().run_in_executor(pool, run, call)
        except RuntimeError as error:
            if not self.stopping:
                self._is_gone()
            raise UnavailableError("the service is stopping") from error
        try:
            return await running
        except DetectorError:
            raise
        except Exception:
            self._heartbeats.doubt()
            raise

    def shut_down(self) -> None:
        """Wait for what is under way."""
        self._pool.shutdown(wait=True)
        self._learning.shutdown(wait=True)

    def _is_gone(self) -> None:
        is_news = "decode" not in self._heartbeats.dead
        self._heartbeats.died("decode", "nothing can be decoded any more")
        if is_news:
            log.critical("nothing can be decoded any more", exc_info=True)
            self._batcher.on_fatal()
