"""A job runner that stops, whatever it is just waiting for."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.health.heartbeats import Heartbeats
from app.jobs.runner import JobRunner
from app.service import Service


@pytest.mark.parametrize("turns", range(6))
def test_it_stops_though_it_was_just_woken(turns: int) -> None:
    """Law: being woken takes no stop away, however many turns of the event loop lie between."""

    def none(*_: Any) -> None:
        """Find no job, and none to put back."""

    jobs = SimpleNamespace(claim=none, release_all=none)
    settings = SimpleNamespace(job_lease_s=1.0, jobs_at_once=1)
    storage = SimpleNamespace(jobs=jobs)
    service = SimpleNamespace(storage=storage, settings=settings, heartbeats=Heartbeats())

    async def stop() -> None:
        runner = JobRunner(cast(Service, service))
        await runner.__aenter__()
        await asyncio.sleep(0.1)  # it has found no job, and waits to be woken
        runner.wake()
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(runner.__aexit__(), 60)

    asyncio.run(stop())
