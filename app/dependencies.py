"""What a route may ask for: the service, and the samples of the request."""

import asyncio
import pathlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, TypeVar, cast

from fastapi import Depends, Header, Path, Query, Request, Response
from fastapi.routing import APIRoute

from app.access.credentials import Role
from app.access.guard import ByDep, require
from app.admit import arrived
from app.deadlines import MAX_TIMEOUT_MS, TimeoutMs, deadline
from app.errors import UnknownDetectorError, WrongKindError
from app.images import tensors
from app.images.sources import Upload
from app.images.tensors import Inference
from app.intake.grouping import MAX_GROUP, Grouping
from app.intake.requests import from_request
from app.jobs.runner import JobRunner
from app.jobs.submission import Coming, Submission
from app.middleware import allow_body
from app.parameters import made
from app.results import Scored
from app.schemas.base import MAX_VERSION
from app.schemas.score_many import MAX_DETECTORS
from app.service import Service
from app.storage.jobs import Job
from app.storage.serving import Promote
from detector.kinds import Kind
from detector.spec import NAME


def service_of(request: Request) -> Service:
    """Return the service that answers a request."""
    return cast(Service, request.app.state.service)


async def _service(request: Request) -> Service:
    return service_of(request)


A = TypeVar("A")
ServiceDep = Annotated[Service, Depends(_service)]


async def _kind_asked(request: Request, service: Service) -> Kind | None:
    """Return what the detectors that a request names take; None if there is none of them.

    What can be no name at all the route refuses later.

    Raises:
        UnknownDetectorError: if the path names one that there is not.
        WrongKindError: if several are named that take different kinds.
    """
    if "name" in request.path_params:
        name = request.path_params["name"]
        return await service.catalogue.kind(name) if re.fullmatch(NAME, name) else None
    named = ",".join(request.query_params.getlist("detectors")).split(",")
    names = [name for name in dict.fromkeys(named[:MAX_DETECTORS]) if re.fullmatch(NAME, name)]
    await service.catalogue.look_up(names)
    kinds: dict[str, Kind] = {}
    for name in names:
        with suppress(UnknownDetectorError):  # the answer says so in its place
            kind = await service.catalogue.kind(name)
            kinds[kind.name] = kind
    if len(kinds) > 1:
        raise WrongKindError(
            f"the detectors take different kinds ({', '.join(sorted(kinds))}), so that it is not "
            "clear how this body is to be read: ask those of one kind at a time"
        )
    return next(iter(kinds.values()), None)


# Each dependency of a dependency is solved for every request, and again wherever it is named, which
# costs as much as a parameter: what all requests to score go through has none.
async def _upload(
    request: Request, timeout_ms: TimeoutMs = MAX_TIMEOUT_MS
) -> AsyncIterator[Upload]:
    service, deadline_s = service_of(request), deadline(timeout_ms)
    allow_body(request.scope, service.settings.max_body_bytes)
    kind_of = partial(_kind_asked, request, service)
    async with from_request(request, service.settings, kind_of) as upload:
        arrived(request.scope, len(upload.images))
        # and then the uploaded files, which may lie on the disk, are closed
        yield replace(upload, deadline_s=deadline_s)


UploadDep = Annotated[Upload, Depends(_upload)]


async def _inference(request: Request, timeout_ms: TimeoutMs = MAX_TIMEOUT_MS) -> Inference:
    service, deadline_s = service_of(request), deadline(timeout_ms)
    allow_body(request.scope, service.settings.max_body_bytes)
    body = await tensors.body_of(request)
    most = service.settings.max_request_images
    asked = await asyncio.to_thread(tensors.parse, body, most, deadline_s)
    arrived(request.scope, len(asked.how["upload"].images))
    return asked


InferenceDep = Annotated[Inference, Depends(_inference)]


def takes_images(route: APIRoute) -> bool:
    """Whether images to be scored come with requests to a route: they have to be admitted."""
    return any(each.call in (_upload, _inference) for each in route.dependant.dependencies)


async def _runner(request: Request) -> JobRunner:
    return cast(JobRunner, request.app.state.runner)


RunnerDep = Annotated[JobRunner, Depends(_runner)]


def _job(job: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], service: ServiceDep) -> Job:
    return service.storage.jobs.get(job)


JobDep = Annotated[Job, Depends(_job)]


AllowStale = Annotated[
    bool,
    Query(description="Go on though images were fitted or forgotten since the calibration."),
]


@dataclass
class Which:
    """Which version of a detector is asked, and whether its calibration may be stale."""

    version: Annotated[
        int | None, Query(ge=1, le=MAX_VERSION, description="Unset: the one in service.")
    ] = None
    allow_stale: AllowStale = False


WhichDep = Annotated[Which, made(Which)]


@dataclass
class Change:
    """What a change builds on, and whether what it makes goes into service."""

    base: Annotated[
        int | None,
        Query(ge=1, le=MAX_VERSION, description="Version to build on; unset: the tip."),
    ] = None
    promote: Annotated[
        Promote,
        Query(
            description="Whether the new version goes into service; auto: unless scores would "
            "lose a threshold that holds, or another version is put in service meanwhile. Always "
            "needs role admin."
        ),
    ] = "auto"


async def _change(request: Request, change: Annotated[Change, made(Change)]) -> Change:
    if change.promote == "always":  # it may take the place of a threshold, which is admins' to do
        require(request, Role.ADMIN, "promote=always")
    return change


ChangeDep = Annotated[Change, Depends(_change)]


@dataclass
class Groups:
    """How the images of a job become groups: lots, sessions, cameras."""

    group: Annotated[
        str, Query(max_length=MAX_GROUP, description="Group of all images of this request.")
    ] = ""
    group_from: Annotated[
        Literal["folder"] | None, Query(description="Take each image's group from its folder.")
    ] = None
    folder: Annotated[
        str | None,
        Query(max_length=4096, description="Folder of the server to import, instead of a body."),
    ] = None

    def coming(self, *, anomalies: bool = False) -> Coming:
        """Return where the images come from.

        Raises:
            InvalidGroupError: if two ways exclude each other.
        """
        grouping = Grouping(self.group, from_folder=self.group_from == "folder")
        return Coming(pathlib.Path(self.folder) if self.folder else None, grouping, anomalies)


GroupsDep = Annotated[Groups, made(Groups)]


async def _submission(
    request: Request,
    response: Response,
    service: ServiceDep,
    runner: RunnerDep,
    by: ByDep,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            max_length=200,
            pattern="^[!-~]+$",
            description="Of your choice; the same request sent again under it makes no second job.",
        ),
    ] = None,
) -> Submission:
    return Submission(service, runner, request, response, by, key)


SubmissionDep = Annotated[Submission, Depends(_submission)]


def answered(scored: Scored, upload: Upload, response: Response) -> Scored:
    """Return what was scored, with ``Server-Timing`` set on the response.

    Raises:
        SampleError, InferenceError: if the request was one raw image that cannot be scored.
    """
    return answered_by_many([scored], upload, response)[0]


def answered_by_many(answers: Sequence[A], upload: Upload, response: Response) -> Sequence[A]:
    """Return what many detectors scored, or not; as ``answered``, if none could score the image."""
    scored = [each for each in answers if isinstance(each, Scored)]
    results = [result for each in scored for result in each.results]
    errors = [result.error for result in results if result.error is not None]
    if upload.alone and errors and len(errors) == len(results):
        raise errors[0]
    timings = [result.timings for result in results if result.timings]
    if timings:
        longest = {
            stage: max(getattr(item, f"{stage}_s") for item in timings)
            for stage in ("decode", "queue", "forward", "judge")
        }
        response.headers["Server-Timing"] = ", ".join(
            f"{stage};dur={1e3 * seconds:.2f}" for stage, seconds in longest.items()
        )
    return answers
