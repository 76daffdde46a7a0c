"""Adapt the backbone's gates to normal images, as a job; get the gates that it kept."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response, status

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.dependencies import JobDep, ServiceDep, SubmissionDep
from app.errors import (
    CannotAdaptError,
    MissingBlobError,
    NoAdaptedGatesError,
    UnknownJobError,
)
from app.images.sources import OCTETS
from app.jobs.submission import Coming
from app.learning.adapting import gates_of
from app.parameters import made
from app.problems import docs
from app.routes.learning import UPLOAD_ERRORS
from app.schemas.adapt import AdaptQuery
from app.schemas.bodies import PICTURES_BODY
from app.schemas.jobs import JobInfo

router = APIRouter(
    prefix="/v1", tags=["adapt"], dependencies=[needs(Role.FIT)], responses=docs(*ERRORS)
)


@router.post(
    "/adapt",
    status_code=status.HTTP_202_ACCEPTED,
    responses=docs(CannotAdaptError, *UPLOAD_ERRORS, body=True),
    openapi_extra=PICTURES_BODY,
)
async def adapt(
    submission: SubmissionDep,
    query: Annotated[AdaptQuery, made(AdaptQuery)],
    folder: Annotated[
        str | None,
        Query(max_length=4096, description="Folder of the server to import, instead of a body."),
    ] = None,
) -> JobInfo:
    """Adapt gates to 50 normal images or more, in the background; nothing in service changes.

    The job's ``result`` says whether that helps; if so, ``GET /v1/jobs/{job}/gates`` gives the
    file that ``GATEWATCH_WEIGHTS`` takes.
    """
    coming = Coming(Path(folder) if folder else None)
    return JobInfo.of(await submission.submit("adapt", "", asdict(query), coming))


@router.get(
    "/jobs/{job}/gates",
    response_class=Response,
    responses=docs(UnknownJobError, NoAdaptedGatesError, MissingBlobError)
    | {
        200: {
            "description": "The gates, in the safetensors format; docs/adapt.md says how they are "
            "used.",
            "content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def gates(job: JobDep, service: ServiceDep) -> Response:
    """Get the file of gates that an adaptation has kept."""
    told = {"Content-Disposition": f'attachment; filename="gates-{job.id}.safetensors"'}
    return Response(gates_of(service.storage.blobs, job), headers=told, media_type=OCTETS)
