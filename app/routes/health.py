"""Is it alive, is it ready, what is it, how is it doing."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from app import __version__
from app.dependencies import ServiceDep
from app.schemas.service import Info, KindInfo, Life, Readiness, answered
from app.telemetry import scrape
from detector.descriptors import DESCRIPTORS
from detector.imaging import MEDIA_TYPES
from detector.kinds import KINDS
from detector.scorers import SCORERS
from detector.spec import DEFAULT_IMAGE_SIZE

router = APIRouter(tags=["service"])


@router.get("/livez", responses={503: {"model": Life, "description": "Start it again."}})
async def alive(service: ServiceDep, response: Response) -> Life:
    """Say whether the process can go on, or only another one could."""
    return answered(Life.of(service.health), response)


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready to score."}})
@router.get("/health", responses={503: {"model": Readiness, "description": "Not ready to score."}})
async def ready(service: ServiceDep, response: Response) -> Readiness:
    """Say whether an image sent now would be scored, how far each stage is, and why it would not.

    An image has gone through not long ago: if none was sent, the service sends one of its own.
    """
    return answered(Readiness.of(service.health), response)


@router.get("/v1/info")
async def info(service: ServiceDep) -> Info:
    """Say what runs here and what it accepts."""
    return Info(
        version=__version__,
        backbone=service.embedder.name,
        backbone_fingerprint=service.embedder.fingerprint,
        device=service.embedder.device,
        engine=service.embedder.engine_of(DEFAULT_IMAGE_SIZE),
        scorers=list(SCORERS),
        descriptors=list(DESCRIPTORS),
        blocks=list(service.embedder.channels),
        regional_blocks=list(service.embedder.regional),
        media_types=list(MEDIA_TYPES),
        kinds={name: KindInfo.of(kind) for name, kind in KINDS.items()},
        limits=service.settings.limits,
    )


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics(
    service: ServiceDep, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Response:
    """Give every series in the format Prometheus reads."""
    return scrape(service.telemetry, accept)
