"""A version that scores alongside the one in service."""

from fastapi import APIRouter, status

from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.dependencies import ServiceDep
from app.errors import ShadowInServiceError, UnknownDetectorError, UnknownVersionError
from app.past import shadowing
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.history import NewShadow, ShadowInfo
from detector.errors import FingerprintMismatchError, NotCalibratedError, NotFittedError

router = APIRouter(
    prefix="/v1/detectors/{name}/shadow",
    tags=["versions"],
    responses=docs(*ERRORS, UnknownDetectorError),
)


@router.get("", dependencies=[needs(Role.SCORE)])
async def show(name: DetectorName, service: ServiceDep) -> ShadowInfo:
    """Tell which version scores alongside, and how often it agreed."""
    return ShadowInfo.of(await shadowing.show(service, name))


@router.put(
    "",
    dependencies=[needs(Role.ADMIN)],
    responses=docs(
        *ERRORS,
        UnknownDetectorError,
        UnknownVersionError,
        NotFittedError,
        NotCalibratedError,
        FingerprintMismatchError,
        ShadowInServiceError,
        body=True,
    ),
)
async def follow(name: DetectorName, body: NewShadow, service: ServiceDep, by: ByDep) -> ShadowInfo:
    """Let a version score alongside; its verdicts are counted, and told to nobody."""
    return ShadowInfo.of(await shadowing.follow(service, name, body.version, by))


@router.delete("", status_code=status.HTTP_204_NO_CONTENT, dependencies=[needs(Role.ADMIN)])
async def unfollow(name: DetectorName, service: ServiceDep, by: ByDep) -> None:
    """Let no version score alongside; what was counted stays."""
    await shadowing.unfollow(service, name, by)
