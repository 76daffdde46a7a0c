"""What each kind of job does: its parameters as kept, the use case, and its result as a body."""

from collections.abc import Awaitable, Callable

from pydantic import BaseModel

from app import calibrating, learning
from app.collecting import Progress
from app.learning import Order
from app.lines import Line
from app.replay import replay
from app.schemas.learning import Calibrated, Fitted, Forgotten
from app.schemas.replay import NewReplay, ReplayInfo
from app.service import Service
from app.spool import Images
from app.storage.jobs import Job, Kind

Work = Callable[[Service, Job, Images | None, Progress], Awaitable[BaseModel]]


async def _fit(service: Service, job: Job, images: Images | None, progress: Progress) -> BaseModel:
    assert images is not None
    order = _order(job, progress)
    extend = job.kind == "extend"
    return Fitted.of(await learning.fit(service, job.detector, images, order, extend=extend))


async def _forget(
    service: Service, job: Job, images: Images | None, progress: Progress
) -> BaseModel:
    asked = job.parameters
    forgotten = await learning.forget(
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
    line = Line(asked["method"], asked["parameters"], asked["by_group"], asked["review_target"])
    order = _order(job, progress)
    return Calibrated.of(await calibrating.calibrate(service, job.detector, images, order, line))


async def _replay(
    service: Service, job: Job, _images: Images | None, progress: Progress
) -> BaseModel:
    asked = NewReplay.model_validate(job.parameters).arguments()
    return ReplayInfo.of(await replay(service, job.detector, **asked, progress=progress))


def _order(job: Job, progress: Progress) -> Order:
    asked = job.parameters
    lineage = {key: value for key, value in asked.items() if key not in ("base", "promote")}
    return Order(job.by, job.id, job.base, asked["promote"], progress, lineage)


WORKS: dict[Kind, Work] = {
    "fit": _fit,
    "extend": _fit,
    "forget": _forget,
    "calibrate": _calibrate,
    "replay": _replay,
}
