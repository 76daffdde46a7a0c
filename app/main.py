"""The composition root: the only place that builds the parts and joins them."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Lifespan
from threadpoolctl import threadpool_limits

from app import __version__, middleware, problem_answers, slow_bodies, unread_bodies
from app.access import guard
from app.admit import Admit, Doorkeeper
from app.console import pages
from app.counting import counting
from app.dependencies import takes_images
from app.health.draining import Door, Drain
from app.jobs.runner import JobRunner
from app.notices.sender import Sender
from app.notices.sinks import sinks_of
from app.routes import (
    adapt,
    audit,
    bundles,
    detectors,
    drift,
    drift_power,
    health,
    images,
    jobs,
    keys,
    learning,
    me,
    notices,
    replay,
    reviews,
    score,
    score_many,
    shadow,
    threshold,
    traffic,
    v2,
    versions,
)
from app.service import Service
from app.settings import Settings
from app.storage import Storage
from app.storage.data_dir import require_data_dir
from app.sweeping import sweeping
from app.telemetry import Telemetry
from detector.embedder import Embedder
from detector.embeds import Embeds
from detector.kinds import KINDS

ROUTES = (
    score,
    score_many,
    v2,
    detectors,
    bundles,
    learning,
    adapt,
    jobs,
    versions,
    shadow,
    threshold,
    traffic,
    drift,
    drift_power,
    notices,
    images,
    replay,
    reviews,
    me,
    keys,
    audit,
    health,
)
"""In the order in which they are looked through for a request: the busiest stand first."""
EVENTS = "text/event-stream"


def create_service(
    settings: Settings, embedder: Embeds | None = None, *, exports: bool = True
) -> Service:
    """Return a service on the settings' backbone and data directory, not yet started.

    Args:
        settings: of the process.
        embedder: what embeds; None for the settings' backbone in this process.
        exports: whether the engine may make what it has not kept, in the background: worth it for
            a server, not for a command that ends soon.

    Raises:
        BackboneError: if the backbone is unknown or has no gates, its weights are wrong or out of
            reach, or the device is missing.
        StorageError, StorageUnavailableError: if what is stored cannot be used.
    """
    require_data_dir(settings.data_dir)  # first: to load a backbone takes a while
    list(KINDS.values())  # imported now, and not while the first who asks waits in the event loop
    # The statistics are many small systems: BLAS threads cost them more than they give, most of
    # all beside torch's, and their number would show in the last bits of a score.
    threadpool_limits(1, user_api="blas")
    embedder = embedder or Embedder.load(
        settings.backbone,
        settings.device,
        settings.threads,
        weights=settings.weights,
        engine=settings.engine,
        precision=settings.precision,
        cache=settings.data_dir / "engines",
        exports=exports,
    )
    telemetry = Telemetry()
    telemetry.build_info.labels(__version__, embedder.name, embedder.device).set(1)
    return Service(settings, embedder, open_storage(settings), telemetry)


def open_storage(settings: Settings) -> Storage:
    """Open what the settings say is stored where.

    Raises:
        StorageError, StorageUnavailableError
    """
    database = settings.database.get_secret_value() if settings.database else None
    return Storage.open(
        settings.data_dir,
        database=database,
        bucket=settings.bucket,
        cached=settings.cached_detectors,
    )


def describe(lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Return the routes and their description, without anything behind them."""
    app = FastAPI(
        title="gatewatch",
        version=__version__,
        summary="Learns what normal images look like and tells how far a new one is from them.",
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        separate_input_output_schemas=False,
    )
    for part in ROUTES:
        app.include_router(part.router)
    problem_answers.install(app)
    as_made = app.openapi
    app.openapi = lambda: _of_3_1(as_made())  # type: ignore[method-assign]  # its documented way
    return app


def _of_3_1(description: dict[str, Any]) -> dict[str, Any]:
    """Describe events as text: FastAPI uses OpenAPI 3.2's itemSchema under a heading of 3.1."""
    for methods in description["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                if answer.get("content", {}).get(EVENTS, {}).pop("itemSchema", None):
                    answer["content"][EVENTS]["schema"] = {"type": "string"}
    return description


def create_app(settings: Settings, service: Service | None = None) -> FastAPI:
    """Return the application; the service starts and stops with it.

    Raises:
        InvalidSinkError: if notices cannot go where the settings say; and as ``create_service``.
    """
    sinks = sinks_of(settings)  # first: it is told at once
    service = service or create_service(settings)
    database, heard = service.storage.database, service.telemetry.notices
    sender = Sender(database, sinks, heard, service.heartbeats, settings.webhook_seconds)
    runner, drain = JobRunner(service), Drain(service.health, settings.drain_seconds)
    app = describe(partial(_lifespan, service, runner, drain, sender))
    app.state.service, app.state.runner, app.state.drain = service, runner, drain
    app.state.sender = sender
    api = (each for part in ROUTES for each in part.router.routes if isinstance(each, APIRoute))
    taking = {route.path_regex: route.path for route in api if takes_images(route)}
    pages.install(app)
    guard.install(app, settings, service.storage.database)
    # Ours, not FastAPI's, whose answer is no problem document and bears no request id.
    most = min(middleware.DOCUMENT_BYTES, settings.max_body_bytes)
    app.add_middleware(middleware.LimitBody, max_bytes=most)
    app.add_middleware(slow_bodies.LimitWait, seconds=settings.body_seconds)
    app.add_middleware(Door, drain=drain)
    app.add_middleware(middleware.Observe, telemetry=service.telemetry)
    doorkeeper = app.state.doorkeeper = Doorkeeper(
        service.ingest.admission, taking, settings.max_body_bytes, service.telemetry
    )
    app.add_middleware(Admit, doorkeeper=doorkeeper)
    app.add_middleware(unread_bodies.CloseUnread)
    return app


@asynccontextmanager
async def _lifespan(
    service: Service, runner: JobRunner, drain: Drain, sender: Sender, _app: FastAPI
) -> AsyncIterator[None]:
    async with (
        service,
        service.health.watching(),
        sweeping(service),
        counting(service),
        sender,
        runner,
        _leaving(runner, drain),
    ):
        logging.getLogger("gatewatch").info("ready")
        yield


@asynccontextmanager
async def _leaving(runner: JobRunner, drain: Drain) -> AsyncIterator[None]:
    """Give jobs back as soon as the drain begins: another process goes on with them meanwhile."""

    async def leave() -> None:
        await drain.begun.wait()
        await runner.stop()

    task = asyncio.create_task(leave(), name="leaving jobs")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
