"""A detector as one file: give it away, take one in."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from fastapi.responses import StreamingResponse

from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.dependencies import ServiceDep
from app.errors import (
    DetectorExistsError,
    InferenceError,
    InvalidBundleError,
    ParityError,
    RowsNotKeptError,
    UnavailableError,
    UnknownDetectorError,
    UnknownVersionError,
    UnsupportedMediaTypeError,
)
from app.moving import transfer
from app.problems import docs
from app.schemas.base import MAX_VERSION, DetectorName
from app.schemas.bundles import Imported
from detector.errors import FingerprintMismatchError, InvalidSpecError, NotFittedError

router = APIRouter(prefix="/v1", tags=["bundles"], responses=docs(*ERRORS))


@router.get(
    "/detectors/{name}/export",
    dependencies=[needs(Role.FIT)],
    response_class=StreamingResponse,
    responses=docs(
        UnknownDetectorError,
        UnknownVersionError,
        NotFittedError,
        FingerprintMismatchError,
        RowsNotKeptError,
        InferenceError,
        UnavailableError,
    )
    | {
        200: {
            "description": "The bundle; docs/moving.md says what is in it.",
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def export(
    name: DetectorName,
    service: ServiceDep,
    by: ByDep,
    version: Annotated[
        int | None, Query(ge=1, le=MAX_VERSION, description="Unset: the one in service.")
    ] = None,
    rows: Annotated[
        bool,
        Query(description="Take rows of its images along, so that they can be forgotten there."),
    ] = False,
) -> StreamingResponse:
    """Give a version as one file, which another gatewatch with the same backbone can import."""
    return await transfer.download(service, name, by, version=version, rows=rows)


@router.post(
    "/import",
    status_code=status.HTTP_201_CREATED,
    dependencies=[needs(Role.ADMIN)],
    responses=docs(
        DetectorExistsError,
        InvalidBundleError,
        InvalidSpecError,
        FingerprintMismatchError,
        ParityError,
        UnsupportedMediaTypeError,
        InferenceError,
        UnavailableError,
        body=True,
    ),
    openapi_extra=transfer.BODY,
)
async def import_(
    request: Request,
    response: Response,
    service: ServiceDep,
    by: ByDep,
    name: Annotated[
        DetectorName | None, Query(description="Of the new detector; unset: the one it had.")
    ] = None,
) -> Imported:
    """Make a new detector of an exported file, if images have the same scores here as there."""
    brought = await transfer.upload(service, request, response, by, name or "")
    return Imported.of(brought.stored, brought.worst_difference, brought.rows_kept)
