"""Where the metrics of every replica are, for Prometheus: a proxy shows one replica at a time.

Each replica serves its registry on a port of its own and says so every ``BEAT_S``; who has said
nothing for ``FORGET_S`` is gone. ``Targets`` gives the list as Prometheus' HTTP service discovery
reads it.
"""

import asyncio
import logging
import time
from typing import Any

import ray.util
from prometheus_client import CollectorRegistry, start_http_server
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse

from app.ray.asking import TARGETS, found, replica_labels

log = logging.getLogger(__name__)

BEAT_S = 5.0
FORGET_S = 3 * BEAT_S


class Targets:
    """Knows the addresses; one replica does, and what it forgets is told again.

    Args:
        devices: deployed with it, for Serve deploys what is bound.
    """

    def __init__(self, devices: DeploymentHandle[Any] | None = None) -> None:
        self._devices = devices
        self._seen: dict[str, tuple[float, dict[str, str]]] = {}

    async def announce(self, address: str, labels: dict[str, str]) -> None:
        """Take note of a replica that is there."""
        self._seen[address] = time.monotonic(), labels

    async def __call__(self, request: Request) -> JSONResponse:
        """List them."""
        since_s = time.monotonic() - FORGET_S
        self._seen = {at: (seen, of) for at, (seen, of) in self._seen.items() if seen > since_s}
        return JSONResponse(
            [{"targets": [at], "labels": of} for at, (_, of) in sorted(self._seen.items())]
        )


class Exposed:
    """A replica's registry on a port of its own, announced as long as it is there."""

    def __init__(self, registry: CollectorRegistry, devices: str) -> None:
        host: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]  # Ray's
        self._server, self._thread = start_http_server(0, host, registry)
        shown = f"[{host}]" if ":" in host else host
        self._address = f"{shown}:{self._server.server_port}"
        self._application = devices
        self._labels = replica_labels()
        self._task = asyncio.create_task(self._announce(), name="announcing metrics")

    async def stop(self) -> None:
        """Withdraw it; without a word, for it is forgotten soon."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    async def _announce(self) -> None:
        handle: Any = None
        while True:
            try:
                handle = handle or await found(TARGETS, self._application)
                await handle.announce.remote(self._address, self._labels)
            except Exception as error:  # whatever it is, it is tried again
                log.info("%s could not be announced: %r", self._address, error)
            await asyncio.sleep(BEAT_S)
