"""Score images against many detectors: those that look at images alike share decode and backbone.

A detector that cannot score has its error in its place. What is wrong with the request, or with the
service, is wrong for all of them and refuses the whole: nothing is judged or kept before every
image was embedded for every look.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from app import problems
from app.errors import StorageUnavailableError, TooManyImagesError
from app.images.sources import Source, Upload
from app.results import Scored
from app.scoring.arriving import Arrived, Failure, Look
from app.scoring.locating import asked_of, with_places
from app.scoring.looking import same
from app.service import Service
from app.storage.version_reader import Stored
from app.unbroken import together
from detector.errors import DetectorError
from detector.kinds.learned import Learned

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """A detector that could not score, and why."""

    detector: str
    error: DetectorError


@dataclass(slots=True)
class _Pass:
    """Detectors that look at images alike, by name, and what the backbone made of the images."""

    look: Look
    detectors: dict[str, Stored] = field(default_factory=dict)
    arrivals: list[Arrived | Failure] = field(default_factory=list)


async def score_many(
    service: Service,
    names: Sequence[str],
    upload: Upload,
    *,
    allow_stale: bool = False,
    group: str = "",
    false_discovery_rate: float | None = None,
    places: bool | None = None,
) -> list[Scored | Refused]:
    """Score images by the versions in service of many detectors, in their order.

    Args:
        service: that scores.
        names: of the detectors, each once.
        upload: the images, which count once for every distinct look.
        allow_stale: whether a calibration of other moments will do.
        group: lot, session or camera of the images, for a line of its own.
        false_discovery_rate: with one, each detector judges the images together, too.
        places: whether it is told where scores come from; None if the kind is to decide.

    Raises:
        InvalidMaskError: if a mask was sent that no detector could use.
        TooManyImagesError: if images times distinct looks are more than one request may have.
        OverloadedError, UnavailableError, StorageUnavailableError
    """
    mask = await service.read_mask(upload.mask)
    await service.catalogue.look_up(names)
    answers: dict[str, Scored | Refused] = {}
    passes: dict[tuple[object, ...], _Pass] = {}
    networks: dict[str, Learned | None] = {}
    for name in names:
        try:
            stored = await service.catalogue.usable(name, None, allow_stale=allow_stale)
            if false_discovery_rate is not None:
                stored.detector.require_calibrated()
            look = await service.look_with(stored.detector, mask)
            networks[name] = await asked_of(
                service.networks, stored.detector, len(upload.images), asked=places
            )
        except DetectorError as error:
            answers[name] = _refused(name, error)
        else:
            passes.setdefault(same(look), _Pass(look)).detectors[name] = stored
    sources = _sources(service, upload, len(passes))
    for each in passes.values():
        each.arrivals = await service.ingest.embed_now(sources, each.look, upload.deadline_s)

    # Others have images to decode on the same threads: not all turns stand in line at once.
    turns = asyncio.Semaphore(service.ingest.threads)

    async def located(name: str, stored: Stored, scored: Scored | DetectorError) -> None:
        try:
            if isinstance(scored, DetectorError):
                raise scored
            answers[name] = await with_places(
                service.ingest, networks[name], stored, sources, scored, turns
            )
        except DetectorError as error:
            answers[name] = _refused(name, error)

    judged: list[tuple[str, Stored, Scored | DetectorError]] = []
    for each in passes.values():
        scored = await service.verdicts.of_each(
            list(each.detectors.values()),
            sources,
            each.arrivals,
            group=group,
            false_discovery_rate=false_discovery_rate,
        )
        judged += zip(each.detectors, each.detectors.values(), scored, strict=True)
    await together(located(*one) for one in judged)
    return [answers[name] for name in names]


def _sources(service: Service, upload: Upload, looks: int) -> list[Source]:
    """Return the images, which are read once for every look."""
    most, images = service.settings.max_request_images, len(upload.images)
    if images * looks > most:
        raise TooManyImagesError(
            f"{images} image(s) for detectors that look in {looks} ways (size and mask) count as "
            f"{images * looks}; at most {most} in one request: send fewer, or name detectors that "
            "look alike"
        )
    return upload.images


def _refused(name: str, error: DetectorError) -> Refused:
    """Return the detector's place in the answer; what concerns all of them is raised again."""
    if isinstance(error, StorageUnavailableError):
        raise error
    if problems.of(error).status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("detector %r cannot score", name, exc_info=error)
    return Refused(name, error)
