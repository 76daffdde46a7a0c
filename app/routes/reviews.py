"""What people say of verdicts, and what is proposed because of it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, status

from app.access.credentials import Role
from app.access.guard import ERRORS, ByDep, needs
from app.dependencies import ServiceDep
from app.errors import (
    ConflictError,
    NoProposalError,
    ReviewMismatchError,
    UnknownDetectorError,
    UnknownImageError,
)
from app.past import proposals, reviewing
from app.past.proposing import Kind
from app.problems import docs
from app.routes.images import CursorQuery, LimitQuery
from app.schemas.base import DetectorName, Rate
from app.schemas.reviews import NewReview, ProposalList, ReviewInfo, ReviewPage
from app.schemas.versions import VersionDetail
from detector.errors import (
    DegenerateDataError,
    InsufficientCalibrationError,
    NotCalibratedError,
    NotFittedError,
    StaleCalibrationError,
)

router = APIRouter(prefix="/v1", tags=["reviews"], responses=docs(*ERRORS))

TargetQuery = Annotated[
    Rate | None,
    Query(description="False-alarm rate of a conformal line; unset: that of the one in service."),
]


@router.post(
    "/reviews",
    status_code=status.HTTP_201_CREATED,
    dependencies=[needs(Role.FIT)],
    responses=docs(*ERRORS, UnknownImageError, ReviewMismatchError, ConflictError, body=True),
)
async def review(body: NewReview, service: ServiceDep, by: ByDep) -> ReviewInfo:
    """Say of a verdict that it was right, a false alarm, or that it missed an anomaly."""
    return ReviewInfo.of(await reviewing.review(service, body.image, body.word, body.note, by))


@router.get("/reviews", dependencies=[needs(Role.FIT)], responses=docs(UnknownDetectorError))
async def list_all(
    service: ServiceDep,
    detector: Annotated[
        DetectorName | None, Query(description="Only on its images; unset: on all.")
    ] = None,
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> ReviewPage:
    """List what was said, newest first."""
    return ReviewPage.of(await reviewing.reviews_of(service, detector, limit, cursor), limit)


@router.get(
    "/detectors/{name}/proposals",
    dependencies=[needs(Role.FIT)],
    responses=docs(UnknownDetectorError, NotFittedError, NotCalibratedError),
)
async def propose(
    name: DetectorName, service: ServiceDep, target: TargetQuery = None
) -> ProposalList:
    """Propose another line, or images to add, with what each would change; nothing is changed."""
    return ProposalList.of(await proposals.propose(service, name, target=target))


@router.post(
    "/detectors/{name}/proposals/{kind}/apply",
    status_code=status.HTTP_201_CREATED,
    dependencies=[needs(Role.ADMIN)],
    responses=docs(
        *ERRORS,
        UnknownDetectorError,
        NoProposalError,
        NotFittedError,
        NotCalibratedError,
        StaleCalibrationError,
        InsufficientCalibrationError,
        DegenerateDataError,
        ConflictError,
    ),
)
async def apply(
    name: DetectorName,
    kind: Kind,
    service: ServiceDep,
    by: ByDep,
    rule: Annotated[
        Literal["conformal", "between"], Query(description="Of a threshold, how it is drawn.")
    ] = "conformal",
    target: TargetQuery = None,
) -> VersionDetail:
    """Make a version of a proposal; it does not serve before it is promoted."""
    chosen = rule if kind == "threshold" else "extend"
    return VersionDetail.of((await proposals.apply(service, name, chosen, by, target=target)).entry)
