"""While the service runs, the metrics follow what is kept of each detector, by any process."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.service import Service
from app.storage.census import census
from app.within import within

log = logging.getLogger(__name__)

EVERY_S = 15.0
"""As often as Prometheus usually asks."""


@asynccontextmanager
async def counting(service: Service) -> AsyncIterator[None]:
    """Count at the beginning and then again and again; a count under way is waited for."""
    stop = asyncio.Event()
    task = asyncio.create_task(_count(service, stop), name="count")
    service.heartbeats.watch(task, "count")
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)  # it has told if it died


async def _count(service: Service, stop: asyncio.Event) -> None:
    failing = False
    while not stop.is_set():
        try:
            await asyncio.to_thread(count, service)
            failing = False
        except Exception:  # the next one may do better; scoring has nothing to do with it
            if not failing:
                log.exception("what is kept could not be counted, and will be tried again")
            failing = True
        await within(EVERY_S, stop)


def count(service: Service) -> None:
    """Show what serves and what is kept, and nothing of what another process has deleted."""
    storage, telemetry = service.storage, service.telemetry
    shown = telemetry.shown  # before they are listed, so that one that is made now stays
    counted = census(storage.database)
    entries = storage.versions.all()
    for name in shown - {entry.name for entry in entries}:
        telemetry.forget(name)
    for entry in entries:
        telemetry.detector(entry)
        found = counted.get(entry.id)
        if found is not None:
            fitted = entry.version.summary["fitted_images"] > 0
            telemetry.drift.kept(
                entry.name,
                fitted_at=found.fitted_at.timestamp() if fitted else math.nan,
                queue_images=found.to_review,
                store_bytes=found.kept_bytes,
            )
