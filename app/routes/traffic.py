"""What all detectors have scored lately."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.dependencies import ServiceDep
from app.problems import docs
from app.schemas.traffic import Traffic

router = APIRouter(
    prefix="/v1/traffic",
    tags=["history"],
    dependencies=[needs(Role.SCORE)],
    responses=docs(*ERRORS),
)


@router.get("")
async def read(
    service: ServiceDep,
    hours: Annotated[int, Query(ge=1, le=720, description="So many hours up to now.")] = 24,
) -> Traffic:
    """Count what each detector has scored, as far as it is kept, and tell how it stands."""
    return Traffic.of(await service.traffic.last(hours))
