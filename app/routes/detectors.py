"""Create, list, show and delete detectors."""

from fastapi import APIRouter, status

from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.dependencies import ServiceDep
from app.errors import DetectorExistsError, UnknownDetectorError
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.detectors import DetectorInfo, DetectorList
from app.schemas.new_detector import NewDetector
from detector.errors import InvalidMaskError, InvalidSpecError

router = APIRouter(prefix="/v1/detectors", tags=["detectors"], responses=docs(*ERRORS))


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    dependencies=[needs(Role.FIT)],
    responses=docs(DetectorExistsError, InvalidSpecError, InvalidMaskError, body=True),
)
def create(body: NewDetector, service: ServiceDep, by: ByDep) -> DetectorInfo:
    """Create a detector; it must be fitted before it can score."""
    arguments = body.arguments(service.settings.max_image_pixels)
    return DetectorInfo.of(service.catalogue.create(by=by, **arguments).entry)


@router.get("", dependencies=[needs(Role.SCORE)])
def list_all(service: ServiceDep) -> DetectorList:
    """List all detectors."""
    return DetectorList(detectors=[DetectorInfo.of(entry) for entry in service.catalogue.all()])


@router.get("/{name}", dependencies=[needs(Role.SCORE)], responses=docs(UnknownDetectorError))
def show(name: DetectorName, service: ServiceDep) -> DetectorInfo:
    """Show one detector."""
    return DetectorInfo.of(service.storage.versions.entry(name))


@router.delete(
    "/{name}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[needs(Role.ADMIN)],
    responses=docs(UnknownDetectorError),
)
def delete(name: DetectorName, service: ServiceDep, by: ByDep) -> None:
    """Delete a detector and what it has learned."""
    service.catalogue.delete(name, by)
