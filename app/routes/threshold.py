"""Read and set a detector's threshold."""

from typing import Annotated

from fastapi import APIRouter, Body

from app.dependencies import ServiceDep
from app.errors import ConflictError, UnavailableError, UnknownDetectorError
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.detectors import NewThreshold, Threshold
from detector.errors import InsufficientCalibrationError, NotCalibratedError, NotFittedError

router = APIRouter(prefix="/v1/detectors/{name}/threshold", tags=["threshold"])


@router.get("", responses=docs(UnknownDetectorError, NotCalibratedError))
def read(name: DetectorName, service: ServiceDep) -> Threshold:
    """Read the threshold and what is promised about it."""
    return Threshold.of(service.catalogue.get(name).detector)


@router.put(
    "",
    responses=docs(
        UnknownDetectorError,
        NotFittedError,
        NotCalibratedError,
        InsufficientCalibrationError,
        ConflictError,
        UnavailableError,
        body=True,
    ),
)
async def change(
    name: DetectorName, body: Annotated[NewThreshold, Body()], service: ServiceDep
) -> Threshold:
    """Set the threshold by target false-alarm rate or by value; the next score uses it."""
    wanted = body.model_dump(exclude={"method"})
    return Threshold.of((await service.set_threshold(name, **wanted)).detector)
