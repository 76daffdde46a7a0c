"""A detector's versions: look at them, put one in service, compare two, delete one."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, status

from app.access.credentials import Role
from app.access.guard import ERRORS as ACCESS_ERRORS
from app.access.guard import ByDep, needs
from app.dependencies import ServiceDep, UploadDep
from app.errors import (
    ConflictError,
    InServiceError,
    NoPreviousVersionError,
    UnknownDetectorError,
    UnknownVersionError,
)
from app.problems import docs
from app.routes.score import ERRORS as SCORE_ERRORS
from app.schemas.base import MAX_VERSION, DetectorName
from app.schemas.bodies import IMAGES_BODY
from app.schemas.detectors import DetectorInfo
from app.schemas.scores import GroupQuery
from app.schemas.versions import FittedImages, VersionComparison, VersionDetail, VersionList
from app.scoring import comparing
from detector.errors import NotCalibratedError, NotFittedError, StaleCalibrationError

router = APIRouter(prefix="/v1/detectors/{name}", tags=["versions"], responses=docs(*ACCESS_ERRORS))
Number = Annotated[int, Path(ge=1, le=MAX_VERSION)]
NumberQuery = Annotated[int, Query(ge=1, le=MAX_VERSION)]
UncalibratedQuery = Annotated[
    bool, Query(description="Go on though verdicts lose the threshold that they have now.")
]


@router.get("/versions", dependencies=[needs(Role.SCORE)], responses=docs(UnknownDetectorError))
def list_all(name: DetectorName, service: ServiceDep) -> VersionList:
    """List all versions with their lineage, oldest first."""
    return VersionList.of(service.storage.versions.versions(name))


@router.get(
    "/versions/{version}",
    dependencies=[needs(Role.SCORE)],
    responses=docs(UnknownDetectorError, UnknownVersionError),
)
def show(name: DetectorName, version: Number, service: ServiceDep) -> VersionDetail:
    """Show one version, and the detector as it was then."""
    return VersionDetail.of(service.storage.versions.entry(name, version))


@router.get(
    "/versions/{version}/images",
    dependencies=[needs(Role.FIT)],
    responses=docs(UnknownDetectorError, UnknownVersionError),
)
def images(
    name: DetectorName,
    version: Number,
    service: ServiceDep,
    start: Annotated[int, Query(ge=0, le=2**31 - 1, description="How many to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> FittedImages:
    """List the images that a version was fitted to, by digest, name and group."""
    entry = service.storage.versions.entry(name, version)
    return FittedImages.of(service.storage.versions.images(entry), start, limit)


@router.post(
    "/versions/{version}/promote",
    dependencies=[needs(Role.ADMIN)],
    responses=docs(
        UnknownDetectorError,
        UnknownVersionError,
        NotFittedError,
        NotCalibratedError,
        StaleCalibrationError,
        ConflictError,
    ),
)
def promote(
    name: DetectorName,
    version: Number,
    service: ServiceDep,
    by: ByDep,
    allow_stale: Annotated[
        bool, Query(description="Serve a version whose threshold promises nothing any more.")
    ] = False,
    allow_uncalibrated: UncalibratedQuery = False,
) -> DetectorInfo:
    """Put a version in service; the next score uses it, and the next change builds on it."""
    allowed = {"allow_stale": allow_stale, "allow_uncalibrated": allow_uncalibrated}
    return DetectorInfo.of(service.catalogue.promote(name, version, by, **allowed))


@router.post(
    "/rollback",
    dependencies=[needs(Role.ADMIN)],
    responses=docs(
        UnknownDetectorError,
        NoPreviousVersionError,
        NotFittedError,
        NotCalibratedError,
        ConflictError,
    ),
)
def rollback(
    name: DetectorName,
    service: ServiceDep,
    by: ByDep,
    allow_uncalibrated: UncalibratedQuery = False,
) -> DetectorInfo:
    """Put the version in service that was before the one that is; twice is where one was."""
    rolled = service.catalogue.rollback(name, by, allow_uncalibrated=allow_uncalibrated)
    return DetectorInfo.of(rolled)


@router.delete(
    "/versions/{version}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[needs(Role.ADMIN)],
    responses=docs(UnknownDetectorError, UnknownVersionError, InServiceError, ConflictError),
)
def delete(name: DetectorName, version: Number, service: ServiceDep, by: ByDep) -> None:
    """Delete a version that is not used and that no other was made from."""
    service.storage.versions.delete_version(name, version, by)


@router.post(
    "/compare",
    dependencies=[needs(Role.SCORE)],
    responses=docs(*SCORE_ERRORS, UnknownVersionError, body=True),
    openapi_extra=IMAGES_BODY,
)
async def compare(
    name: DetectorName,
    first: NumberQuery,
    second: NumberQuery,
    upload: UploadDep,
    service: ServiceDep,
    group: GroupQuery = "",
) -> VersionComparison:
    """Judge images by two versions, side by side; nothing is kept of it."""
    return VersionComparison.of(
        await comparing.compare_versions(service, name, first, second, upload, group=group)
    )
