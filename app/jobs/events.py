"""A job as a stream of events: each says all there is to say, so none needs the ones before it."""

import asyncio
from collections.abc import AsyncIterator

from fastapi.sse import ServerSentEvent

from app.schemas.jobs import JobInfo
from app.storage.jobs import Job, Jobs

LOOK_S = 0.3


async def events(jobs: Jobs, identity: str, last: str | None) -> AsyncIterator[ServerSentEvent]:
    """Yield ``progress`` whenever the job has changed, and ``end`` once it has ended.

    While nothing changes FastAPI sends a comment now and then, so no proxy takes it for the end.

    Args:
        jobs: where it is kept; another process may be running it.
        identity: of the job.
        last: id of the event that the client has seen last, if it comes back.

    Raises:
        UnknownJobError: if there is no such job.
    """
    seen = last
    while True:
        job = await asyncio.to_thread(jobs.get, identity)
        # Compared as text: what a client made up is just the id of no event.
        if str(job.sequence) != seen or job.ended:
            seen = str(job.sequence)
            yield _event(job)
        if job.ended:
            return
        await asyncio.sleep(LOOK_S)


def _event(job: Job) -> ServerSentEvent:
    name = "end" if job.ended else "progress"
    return ServerSentEvent(data=JobInfo.of(job), event=name, id=str(job.sequence))
