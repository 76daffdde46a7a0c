"""What each kind of job does: its parameters as kept, the use case, and its result as a body."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from pydantic import BaseModel

from app.intake.spool import Images
from app.learning import adapting, calibrating, fitting
from app.learning.adapt_options import Options
from app.learning.order import Order
from app.lines import Line
from app.past.drifting import replay_drift
from app.past.replay import replay
from app.schemas.adapt import AdaptedGates
from app.schemas.drift_replay import DriftReplayInfo, NewDriftReplay
from app.schemas.learning import Calibrated, Fitted, Forgotten
from app.schemas.replay import NewReplay, ReplayInfo
from app.service import Service
from app.storage.jobs import Job, Kind
from app.unbroken import stoppable, unbroken


class Progress(Protocol):
    """Counts what is done, of a total that is the number of images unless the work sets it."""

    total: int
    done: int

    def __call__(self, images: int) -> object:
        """So many were just done."""


Work = Callable[[Service, Job, Images | None, Progress], Awaitable[BaseModel]]


async def _fit(service: Service, job: Job, images: Images | None, progress: Progress) -> BaseModel:
    assert images is not None
    order = _order(job, progress)
    extend = job.kind == "extend"
    return Fitted.of(await fitting.fit(service, job.detector, images, order, extend=extend))


async def _forget(
    service: Service, job: Job, images: Images | None, progress: Progress
) -> BaseModel:
    asked = job.parameters
    forgotten = await fitting.forget(
        service,
        job.detector,
        _order(job, progress),
        digests=asked["sha256"],
        groups=asked["groups"],
    )
    return Forgotten.of(forgotten)


async def _calibrate(
    service: Service, job: Job, images: Images | None, progress: Progress
) -> BaseModel:
    asked = job.parameters
    line = None  # as it was drawn before
    if "method" in asked:
        line = Line(asked["method"], asked["parameters"], asked["by_group"], asked["review_target"])
    order = _order(job, progress)
    return Calibrated.of(await calibrating.calibrate(service, job.detector, images, order, line))


async def _replay(
    service: Service, job: Job, _images: Images | None, progress: Progress
) -> BaseModel:
    asked = NewReplay.model_validate(job.parameters).arguments()
    return ReplayInfo.of(await replay(service, job.detector, **asked, progress=progress))


async def _drift_replay(
    service: Service, job: Job, _images: Images | None, progress: Progress
) -> BaseModel:
    asked = NewDriftReplay.model_validate(job.parameters).arguments()
    found = await replay_drift(service, job.detector, **asked, progress=progress)
    return DriftReplayInfo.of(found)


async def _adapt(
    service: Service, job: Job, images: Images | None, progress: Progress
) -> BaseModel:
    assert images is not None

    def work(require_going: Callable[[], None]) -> adapting.Outcome:
        def tell(_task: str, done: int, total: int) -> None:
            require_going()
            progress.total = total
            progress(done - progress.done)

        return adapting.adapt(service.settings, images, Options(**job.parameters), tell)

    outcome = await stoppable(work)
    sha256 = None
    if outcome.adapted.report.kept:
        keep = partial(adapting.keep, service.storage.blobs, job.id, outcome.adapted)
        sha256 = await unbroken(asyncio.to_thread(keep))
    return AdaptedGates.of(outcome, job.id, sha256)


def _order(job: Job, progress: Progress) -> Order:
    asked = job.parameters
    lineage = {key: value for key, value in asked.items() if key not in ("base", "promote")}

    def expect(more: int) -> None:
        progress.total += more

    return Order(
        job.by,
        job.id,
        job.base,
        asked["promote"],
        progress,
        lineage,
        job.detector_id,
        job.serving,
        expect,
    )


WORKS: dict[Kind, Work] = {
    "fit": _fit,
    "extend": _fit,
    "forget": _forget,
    "calibrate": _calibrate,
    "replay": _replay,
    "drift-replay": _drift_replay,
    "adapt": _adapt,
}
