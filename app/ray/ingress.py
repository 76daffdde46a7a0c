"""A replica that takes requests: the very application of a single server, without a device.

It reads, decodes, resizes and judges; what devices see of images is asked of those that have one
(``app.ray.remote_embedder``). Serve listens, and its proxies may listen anywhere: a replica starts
only where there is a key, unless ``GATEWATCH_OPEN`` says so.

Serve lets a replica go on with its requests before it stops it. Streams of events would last as
long as their job: they are ended now and then, and their clients ask again, perhaps another
replica, from where they were.
"""

import asyncio
import sys
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.environment import read_settings
from app.errors import StorageError, UnavailableError
from app.main import create_app, create_service
from app.middleware import REQUEST_ID
from app.ray.asking import DEVICE, Devices, found
from app.ray.backbones import Backbone
from app.ray.remote_embedder import RemoteEmbedder
from app.ray.targets import Exposed
from app.serving import SWITCH_S
from app.settings import Settings

INGRESS = "Ingress"
STREAM_S = 10.0
"""How long a stream of events lasts: less than Serve waits for requests under way."""


@serve.ingress(None)
class Ingress:
    """Serves the API; settings are the environment's, of the application's ``runtime_env``.

    Args:
        devices: the application of the devices.

    Raises:
        InvalidSettingsError: if a setting is wrong.
        StorageError: if replicas on several machines would not share what they store.
        UnprotectedError: if there is no key, and it was not told to be open.
    """

    async def __init__(self, devices: str) -> None:  # type: ignore[misc]  # Serve awaits it
        # Whoever reaches Serve's proxy reaches this: it is not known to be this machine alone.
        settings = read_settings().model_copy(update={"host": "0.0.0.0"})
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's
        require_shared(settings, sum(node["Alive"] for node in nodes))
        sys.setswitchinterval(SWITCH_S)
        asked = Devices(await found(DEVICE, devices), Backbone.of(settings))
        embedder = RemoteEmbedder(await asked.card(), asked)
        service = await asyncio.to_thread(create_service, settings, embedder)
        self._service_app = create_app(settings, service)
        self._service_app.add_middleware(OneRequestId)
        self._health, self._embedder = service.health, embedder
        self._exposed = Exposed(service.telemetry.registry, devices)
        self._ending = asyncio.create_task(self._end_streams(), name="ending streams")

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Hand over the application; it starts and stops with the replica."""
        return self._service_app

    def check_health(self) -> None:
        """Tell Serve whether only another replica could go on: as /livez does, or with a new card.

        Raises:
            UnavailableError: if so.
        """
        reasons = self._health.why_not_alive() + self._embedder.why_outdated
        if reasons:
            raise UnavailableError("; ".join(reasons))

    async def __del__(self) -> None:
        """Leave; Serve has waited for the requests under way, and the service has stopped."""
        self._ending.cancel()
        await self._exposed.stop()

    async def _end_streams(self) -> None:
        while True:
            await asyncio.sleep(STREAM_S)
            self._service_app.state.drain.end_streams()


class OneRequestId:
    """Leaves a request's id to Serve, which adds it to every answer, where ours is the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer without what Serve will say as well."""
        given = Headers(scope=scope).get(REQUEST_ID) if scope["type"] == "http" else None

        async def once(message: Message) -> None:
            if message["type"] == "http.response.start" and given is not None:
                headers = MutableHeaders(scope=message)
                if headers.get(REQUEST_ID) == given:
                    del headers[REQUEST_ID]
            await send(message)

        await self._app(scope, receive, once)


def require_shared(settings: Settings, machines: int) -> None:
    """Refuse a cluster whose replicas would each have a database and files of their own.

    Raises:
        StorageError: saying what is missing.
    """
    if machines > 1 and (settings.database is None or settings.bucket is None):
        raise StorageError(
            f"this cluster has {machines} machines, whose replicas must share what they store: set "
            "GATEWATCH_DATABASE to a PostgreSQL database and GATEWATCH_BUCKET to a bucket"
        )
