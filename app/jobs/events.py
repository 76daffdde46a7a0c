"""A job as a stream of events: each says all there is to say, so none needs the ones before it."""

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi.sse import ServerSentEvent

from app.schemas.jobs import JobInfo
from app.storage.jobs import Job, Jobs

LOOK_S = 0.3
ALIVE_S = 15.0
"""How often a line is sent at least, so that no proxy takes the silence for the end."""


async def events(jobs: Jobs, identity: str, last: str | None) -> AsyncIterator[ServerSentEvent]:
    """Yield ``progress`` whenever the job has changed, and ``end`` once it has ended.

    Args:
        jobs: where it is kept; another process may be running it.
        identity: of the job.
        last: id of the event that the client has seen last, if it comes back.

    Raises:
        UnknownJobError: if there is no such job.
    """
    seen = int(last) if last and last.isascii() and last.isdigit() else 0
    sent_s = time.monotonic()
    while True:
        job = await asyncio.to_thread(jobs.get, identity)
        if job.sequence > seen or job.ended:
            seen, sent_s = job.sequence, time.monotonic()
            yield _event(job)
        elif time.monotonic() - sent_s > ALIVE_S:
            sent_s = time.monotonic()
            yield ServerSentEvent(comment="still there")
        if job.ended:
            return
        await asyncio.sleep(LOOK_S)


def _event(job: Job) -> ServerSentEvent:
    name = "end" if job.ended else "progress"
    return ServerSentEvent(data=JobInfo.of(job), event=name, id=str(job.sequence))
