"""Create, list, show and delete detectors."""

from fastapi import APIRouter, status

from app.dependencies import ServiceDep
from app.errors import DetectorExistsError, UnknownDetectorError
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.detectors import DetectorInfo, DetectorList
from app.schemas.new_detector import NewDetector
from detector.errors import InvalidMaskError, InvalidSpecError

router = APIRouter(prefix="/v1/detectors", tags=["detectors"])


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=docs(DetectorExistsError, InvalidSpecError, InvalidMaskError, body=True),
)
def create(body: NewDetector, service: ServiceDep) -> DetectorInfo:
    """Create a detector; it must be fitted before it can score."""
    return DetectorInfo.of(
        service.catalogue.create(**body.arguments(service.settings.max_image_pixels))
    )


@router.get("")
def list_all(service: ServiceDep) -> DetectorList:
    """List all detectors."""
    return DetectorList(detectors=[DetectorInfo.of(stored) for stored in service.catalogue.all()])


@router.get("/{name}", responses=docs(UnknownDetectorError))
def show(name: DetectorName, service: ServiceDep) -> DetectorInfo:
    """Show one detector."""
    return DetectorInfo.of(service.catalogue.get(name))


@router.delete(
    "/{name}", status_code=status.HTTP_204_NO_CONTENT, responses=docs(UnknownDetectorError)
)
def delete(name: DetectorName, service: ServiceDep) -> None:
    """Delete a detector and what it has learned."""
    service.catalogue.delete(name)
