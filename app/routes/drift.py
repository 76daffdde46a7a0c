"""Whether the traffic of a detector has changed, and what a person says to it."""

from fastapi import APIRouter

from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.dependencies import ServiceDep
from app.errors import ConflictError, DriftNotWatchedError, UnknownDetectorError
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.drift import Acknowledgement, DriftInfo, NewBaseline
from detector.errors import (
    InsufficientCalibrationError,
    InvalidSpecError,
    NotCalibratedError,
    StaleCalibrationError,
)

router = APIRouter(prefix="/v1/detectors/{name}/drift", tags=["drift"], responses=docs(*ERRORS))
WATCHED = (*ERRORS, UnknownDetectorError, NotCalibratedError, StaleCalibrationError)
CHANGED = (*WATCHED, DriftNotWatchedError, ConflictError, InvalidSpecError)


@router.get("", dependencies=[needs(Role.SCORE)], responses=docs(*WATCHED))
async def show(name: DetectorName, service: ServiceDep) -> DriftInfo:
    """Tell whether the traffic has changed, and how sure that is."""
    return DriftInfo.of(await service.drift.show(name))


@router.post("/acknowledge", dependencies=[needs(Role.ADMIN)], responses=docs(*CHANGED, body=True))
async def acknowledge(
    name: DetectorName, body: Acknowledgement, service: ServiceDep, by: ByDep
) -> DriftInfo:
    """Say that alarms were seen: they end, evidence begins anew, and the baseline stays."""
    return DriftInfo.of(await service.drift.acknowledge(name, body.monitor, by))


@router.post(
    "/rebaseline",
    dependencies=[needs(Role.ADMIN)],
    responses=docs(*CHANGED, InsufficientCalibrationError, body=True),
)
async def rebaseline(
    name: DetectorName, body: NewBaseline, service: ServiceDep, by: ByDep
) -> DriftInfo:
    """Take the last images for normal: the traffic is compared with them, and alarms end."""
    return DriftInfo.of(await service.drift.rebaseline(name, body.images, by))
