"""How soon a change of the traffic would be seen."""

from typing import Annotated

from fastapi import APIRouter

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.dependencies import ServiceDep
from app.errors import UnavailableError, UnknownDetectorError, UnknownVersionError
from app.monitoring.power import outlook
from app.parameters import made
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.drift_power import PowerInfo, PowerQuery
from detector.errors import InvalidSpecError, NotCalibratedError, StaleCalibrationError

router = APIRouter(prefix="/v1/detectors/{name}/drift", tags=["drift"], responses=docs(*ERRORS))
FAILURES = (
    UnknownDetectorError,
    UnknownVersionError,
    NotCalibratedError,
    StaleCalibrationError,
    InvalidSpecError,
    UnavailableError,
)


@router.get("/power", dependencies=[needs(Role.FIT)], responses=docs(*FAILURES))
async def power(
    name: DetectorName, service: ServiceDep, asked: Annotated[PowerQuery, made(PowerQuery)]
) -> PowerInfo:
    """Tell how soon changes would be seen, by simulation on the calibration; takes seconds."""
    return PowerInfo.of(await outlook(service, name, **asked.arguments()))
