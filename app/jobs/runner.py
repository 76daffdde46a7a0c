"""Runs jobs: claims one after another, keeps its lease and progress, ends it one way or another.

A job that fails keeps nothing; one whose process stops or dies keeps its rows, and goes on after
them in this process's successor or in another.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from app.errors import LeaseLostError, StorageUnavailableError, UnavailableError
from app.intake.folders import open_images
from app.intake.spool import Images
from app.jobs import ending
from app.jobs.works import WORKS
from app.service import Service
from app.storage.jobs import MOST_ATTEMPTS, Job, State
from app.unbroken import unbroken
from app.within import within

log = logging.getLogger(__name__)

IDLE_S, BEAT_S = 1.0, 0.5
"""How often jobs are looked for, and how often progress is kept."""


class JobRunner:
    """Works on at most ``jobs_at_once`` jobs; several processes share one line of jobs."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._jobs = service.storage.jobs
        self._owner = uuid.uuid4().hex
        self._lease_s = service.settings.job_lease_s
        self._woken = asyncio.Event()
        self._working: dict[asyncio.Task[None], str] = {}
        self._line: asyncio.Task[None] | None = None
        self._stopping = False

    async def __aenter__(self) -> "JobRunner":
        self._line = asyncio.create_task(self._look(), name="jobs")
        self._service.heartbeats.watch(self._line, "jobs")
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Put the jobs under way back in line; what they have kept stays."""
        self._stopping = True
        tasks = [task for task in (self._line, *self._working) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await asyncio.to_thread(self._jobs.release_all, self._owner)
        except StorageUnavailableError as error:
            log.warning("jobs under way are not taken up before their lease runs out: %s", error)

    def wake(self) -> None:
        """Look for a job now: one was submitted."""
        self._woken.set()

    async def _look(self) -> None:
        while not self._stopping:
            job = None
            try:
                if len(self._working) < self._service.settings.jobs_at_once:
                    # Unbroken: a job claimed while this stops is put back, too.
                    going = list(self._working.values())
                    claim = partial(self._jobs.claim, self._owner, self._lease_s, going)
                    with self._service.heartbeats.jobs.call():
                        job = await unbroken(asyncio.to_thread(claim))
            except StorageUnavailableError as error:
                log.warning("no job can be claimed: %s", error)
            except Exception:  # without this loop no job would ever run again
                log.exception("no job can be claimed")
            if job is None:
                await within(IDLE_S, self._woken)
                self._woken.clear()
                continue
            task = asyncio.create_task(self._work(job))
            self._working[task] = job.id
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        del self._working[task]
        self.wake()  # there is room for another one

    async def _work(self, job: Job) -> None:
        """Run a job to its end; if this process is stopping, leave it as it is."""
        log.info("job %s is worked on here, attempt %d", job.id, job.attempts)
        try:
            made = await asyncio.to_thread(self._jobs.made, job)
            if job.cancel_requested and made is None:
                await self._end(job, "cancelled")
            elif job.attempts > MOST_ATTEMPTS:
                await self._end(job, "failed", problem=ending.died(made))
            else:  # and what has made its version is past being cancelled
                await self._run(job, cancellable=made is None)
        except LeaseLostError as error:
            log.warning("%s", error)
        except StorageUnavailableError as error:
            # Its lease runs out, and then it is claimed again.
            log.warning("job %s was left: %s", job.id, error)
        except Exception:
            log.exception("job %s could not be ended", job.id)

    async def _run(self, job: Job, *, cancellable: bool) -> None:
        progress = _Progress(job.total)
        task = asyncio.create_task(self._result(job, progress))
        try:
            cancelled = await self._watch(job, task, progress, cancellable=cancellable)
        except BaseException:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        try:
            result = task.result()
        except asyncio.CancelledError:
            if not cancelled:
                raise
            await self._end(job, "cancelled")
        except UnavailableError:  # this process is stopping
            await asyncio.to_thread(self._jobs.release, job.id, self._owner)
        except (StorageUnavailableError, LeaseLostError):
            raise
        except Exception as error:
            problem = await asyncio.to_thread(ending.problem_of, self._service, job, error)
            await self._end(job, "failed", problem=problem)
        else:
            await self._end(job, "succeeded", result=result)

    async def _end(self, job: Job, state: State, **what: Mapping[str, Any]) -> None:
        await asyncio.to_thread(ending.end, self._service, job, self._owner, state, **what)

    async def _watch(
        self,
        job: Job,
        task: "asyncio.Task[dict[str, Any]]",
        progress: "_Progress",
        *,
        cancellable: bool,
    ) -> bool:
        """Keep lease and progress until the work is done; return whether it was cancelled."""
        told, kept_s, cancelled = -1, time.monotonic(), False
        going_on = True
        while going_on:
            await asyncio.wait({task}, timeout=BEAT_S)
            going_on = not task.done()  # asked before what it has done, so that all of it is kept
            due = time.monotonic() - kept_s > self._lease_s / 3
            if progress.done == told and not due:
                asked = (await asyncio.to_thread(self._jobs.get, job.id)).cancel_requested
            else:
                told = progress.done
                renew = partial(
                    self._jobs.renew,
                    job.id,
                    self._owner,
                    self._lease_s,
                    done=told,
                    total=progress.total,
                )
                asked = await asyncio.to_thread(renew)
                kept_s = time.monotonic()
            if asked and cancellable and not cancelled:  # once: it may be tidying up
                cancelled = True
                task.cancel()
        return cancelled

    async def _result(self, job: Job, progress: "_Progress") -> dict[str, Any]:
        async with self._images(job) as images:
            job = await asyncio.to_thread(self._pinned, job)
            if images is not None:
                progress.total = len(images)
            body = await WORKS[job.kind](self._service, job, images, progress)
        return dict(body.model_dump(mode="json"))

    def _pinned(self, job: Job) -> Job:
        """Return the job with the version it builds on, and what served, when it first began."""
        ending.require_detector(self._service, job)
        if job.serving is None and job.detector_id:
            entry = self._service.storage.versions.entry(job.detector)
            base, serving = job.base or entry.tip, entry.in_service
            self._jobs.pin(job.id, self._owner, base=base, serving=serving)
            job = replace(job, base=base, serving=serving)
        return job

    @asynccontextmanager
    async def _images(self, job: Job) -> AsyncIterator[Images | None]:
        """Give the images that were sent with a job, None if there were none."""
        if not job.spool_blob:
            yield None
            return
        opened = contextlib.ExitStack()
        try:  # unbroken: cancelled while it is opened, it is closed all the same
            yield await unbroken(asyncio.to_thread(self._open, job.spool_blob, opened))
        finally:
            await unbroken(asyncio.to_thread(opened.close))

    def _open(self, blob: str, opened: contextlib.ExitStack) -> Images:
        path = opened.enter_context(self._service.storage.blobs.open_local(blob))
        images = open_images(path, self._service.settings.import_roots)
        opened.callback(images.close)
        return images


class _Progress:
    """Counts images."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0

    def __call__(self, images: int) -> None:
        self.done += images
