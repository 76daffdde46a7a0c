"""What was said of an image, and of all images of a detector."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.access.credentials import Role
from app.access.guard import ERRORS, needs
from app.dependencies import ServiceDep
from app.errors import UnknownDetectorError, UnknownImageError
from app.past import reviewing
from app.problems import docs
from app.schemas.base import DetectorName
from app.schemas.history import HistoryPage, ImageInfo, Moment
from app.storage import cursor as cursors
from app.storage.history import Word

router = APIRouter(
    prefix="/v1", tags=["history"], dependencies=[needs(Role.SCORE)], responses=docs(*ERRORS)
)

LimitQuery = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
CursorQuery = Annotated[
    str | None, Query(pattern=cursors.PATTERN, description="Where the last page has ended.")
]


@router.get("/images/{id}", responses=docs(UnknownImageError))
async def show(
    id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")], service: ServiceDep
) -> ImageInfo:
    """Tell what was said of an image, by which version, and what people said of that."""
    return ImageInfo.of(await reviewing.look_up(service, id))


@router.get("/detectors/{name}/history", responses=docs(UnknownDetectorError))
async def history(
    name: DetectorName,
    service: ServiceDep,
    since: Annotated[Moment | None, Query(description="Scored at this moment or later.")] = None,
    until: Annotated[Moment | None, Query(description="Scored before.")] = None,
    verdict: Annotated[Word | None, Query(description="Only these.")] = None,
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> HistoryPage:
    """List what was scored, newest first, as far as it is kept."""
    found = await reviewing.scored_of(
        service, name, limit, cursor, since=since, until=until, verdict=verdict
    )
    return HistoryPage.of(found, name, limit)
