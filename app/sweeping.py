"""While the service runs, what crashes have left and what is too old is removed, hour by hour."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.service import Service
from app.storage.sweep import sweep
from app.within import within

log = logging.getLogger(__name__)

EVERY_S = 3600.0


@asynccontextmanager
async def sweeping(service: Service) -> AsyncIterator[None]:
    """Sweep once at the beginning, and then every hour; a sweep under way is waited for."""
    stop = asyncio.Event()
    task = asyncio.create_task(_sweep(service, stop), name="sweep")
    service.heartbeats.watch(task, "sweep")
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)  # it has told if it died


async def _sweep(service: Service, stop: asyncio.Event) -> None:
    settings = service.settings
    incoming = settings.data_dir / "incoming"
    while not stop.is_set():
        try:
            with service.heartbeats.sweep.call():
                gone = await sweep(service.storage, incoming, job_days=settings.job_days)
        except Exception:  # the next one may do better; scoring has nothing to do with it
            log.exception("what was left over could not be removed")
        else:
            if gone.blobs or gone.uploads or gone.jobs:
                log.info("removed what was left over: %s", gone)
        await within(EVERY_S, stop)
