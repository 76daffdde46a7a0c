"""Two versions on the same images, side by side, before one takes the other's place."""

from collections.abc import Sequence
from functools import partial

from app.images.sources import Upload
from app.results import Duel, Judged
from app.scoring import judging
from app.scoring.arriving import Arrived, Failure
from app.scoring.verdicts import FOLD_IMAGES
from app.service import Service
from app.storage.version_reader import Stored


async def compare_versions(
    service: Service, name: str, first: int, second: int, upload: Upload, *, group: str = ""
) -> Duel:
    """Judge images by two versions; nothing is kept of it.

    Raises:
        as ``Service.score``; a stale calibration is allowed.
    """
    usable = partial(service.catalogue.usable, name, allow_stale=True)
    one, other = await usable(first), await usable(second)
    # All versions of a detector look at images alike: with its size and its mask.
    _, arrivals = await service.embed(name, upload, version=first, allow_stale=True)
    names = [source.name for source in upload.images]
    return Duel(
        name,
        first,
        second,
        list(
            zip(
                await _judged(service, one, names, arrivals, group),
                await _judged(service, other, names, arrivals, group),
                strict=True,
            )
        ),
    )


async def _judged(
    service: Service,
    stored: Stored,
    names: list[str],
    arrivals: Sequence[Arrived | Failure],
    group: str,
) -> list[Judged]:
    results = {}
    usable = [(place, item) for place, item in enumerate(arrivals) if isinstance(item, Arrived)]
    for start in range(0, len(usable), FOLD_IMAGES):
        part = usable[start : start + FOLD_IMAGES]
        arrived = [item for _, item in part]
        named = [names[place] for place, _ in part]
        seen = await service.ingest.judged(
            partial(judging.judge, stored, None, named, arrived, group)
        )
        for (place, _), image in zip(part, seen.images, strict=True):
            results[place] = Judged(image.name, image.verdict)
    return [
        results[place] if isinstance(item, Arrived) else Judged(names[place], error=item)
        for place, item in enumerate(arrivals)
    ]
