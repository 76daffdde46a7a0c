"""Score images by many detectors at once."""

from typing import Annotated

from fastapi import APIRouter, Response

from app.access.credentials import Role
from app.access.guard import ERRORS as ACCESS_ERRORS
from app.access.guard import needs
from app.dependencies import AllowStale, ServiceDep, UploadDep, answered_by_many
from app.errors import InvalidGroupError, StorageUnavailableError, WrongKindError
from app.parameters import made
from app.problems import docs
from app.routes.score import IMAGE_ERRORS
from app.schemas.bodies import IMAGES_BODY
from app.schemas.score_many import DetectorNames, ManyScores
from app.schemas.scores import ScoreQuery
from app.scoring.many import score_many

router = APIRouter(
    prefix="/v1",
    tags=["score"],
    dependencies=[needs(Role.SCORE)],
    responses=docs(*ACCESS_ERRORS),
)

ERRORS = (*IMAGE_ERRORS, InvalidGroupError, StorageUnavailableError, WrongKindError)


@router.post("/score", responses=docs(*ERRORS, body=True), openapi_extra=IMAGES_BODY)
async def score(
    detectors: DetectorNames,
    upload: UploadDep,
    service: ServiceDep,
    response: Response,
    how: Annotated[ScoreQuery, made(ScoreQuery)],
    allow_stale: AllowStale = False,
) -> ManyScores:
    """Score images by many detectors; those of one size and mask share one backbone pass.

    A detector that cannot score has a problem in its place, and the answer is still 200.
    """
    scored = await score_many(service, detectors, upload, allow_stale=allow_stale, **vars(how))
    return ManyScores.of(answered_by_many(scored, upload, response))
