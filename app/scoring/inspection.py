"""Look closer: one image with its map and the normal images it is most like; a batch as a whole."""

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from app import problems
from app.errors import TooManyImagesError
from app.images.sources import Upload, from_bytes
from app.results import Compared, Inspected, Judged, Rejected
from app.scoring import overlay
from app.scoring.arriving import Arrived
from app.scoring.locating import locate
from app.service import Service
from detector import imaging
from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import DegenerateDataError, NoMapError
from detector.imaging import Pixels
from detector.kinds.kind import Located
from detector.kinds.learned import Learned
from detector.verdict import Verdict

NEAREST = 3


async def inspect(
    service: Service,
    name: str,
    upload: Upload,
    *,
    needs_map: bool,
    version: int | None = None,
    allow_stale: bool = False,
    group: str = "",
) -> Inspected:
    """Judge one image and say where and compared to what.

    Raises:
        TooManyImagesError: if there is more than one image.
        NoMapError: if a map is needed and the detector's scorer has none.
        SampleError, InferenceError: if the image cannot be used.
        UnknownDetectorError, NotFittedError, FingerprintMismatchError, InvalidMaskError,
        MaskMismatchError, OverloadedError, UnavailableError
    """
    if len(upload.images) != 1:
        raise TooManyImagesError(f"one image at a time, got {len(upload.images)}")
    content = await upload.images[0].read()  # for its pixels, beside its embedding
    source = from_bytes(upload.images[0].name, content)
    only = replace(upload, images=[source])
    stored, (arrived,) = await service.embed(name, only, version=version, allow_stale=allow_stale)
    detector = stored.detector
    if not isinstance(arrived, Arrived):
        raise arrived
    (verdict,) = await service.ingest.judged(partial(detector.judge, arrived.embedding, [group]))
    learned = await service.networks.of(detector)
    if needs_map and learned is None and verdict.cells is None:
        raise NoMapError(
            f"scorer {detector.spec.scorer!r} has no map; 'fusion' and 'regional' have one"
        )
    (nearest,) = await service.ingest.judged(partial(detector.nearest, arrived.embedding, NEAREST))
    judged = Judged(source.name, verdict)
    if learned is not None:
        of_places = partial(_of_places, detector, learned, content, verdict, needs_map=needs_map)
        pixels, places = await service.ingest.judged(of_places)
        judged = replace(judged, places=places)
        return Inspected(name, detector.version, judged, verdict, pixels, nearest, places)
    limits = service.settings
    decode = partial(
        imaging.decode,
        content,
        max_pixels=limits.max_image_pixels,
        min_side=limits.min_image_side,
    )
    pixels = await service.ingest.judged(decode)
    return Inspected(name, detector.version, judged, verdict, pixels, nearest)


def _of_places(
    detector: Detector, learned: Learned, content: bytes, verdict: Verdict, *, needs_map: bool
) -> tuple[Pixels, tuple[Located, ...] | None]:
    """Return the picture of a sample, painted where its score comes from, and its places.

    Raises:
        NoMapError: if that is needed and cannot be told.
    """
    try:
        places = locate(detector, learned, content)
    except NoMapError:
        if needs_map:
            raise
        return np.zeros((1, 1, 3), np.uint8), None
    return places.picture(verdict.threshold), places.located


async def draw(
    service: Service,
    name: str,
    upload: Upload,
    kind: Literal["png", "npy"],
    *,
    version: int | None = None,
    allow_stale: bool = False,
    group: str = "",
) -> bytes:
    """Judge one image and return its map, drawn on it or as values.

    Raises:
        NotCalibratedError: if an overlay is asked of a detector without threshold.
        as ``inspect``.
    """
    inspected = await inspect(
        service,
        name,
        upload,
        needs_map=True,
        version=version,
        allow_stale=allow_stale,
        group=group,
    )
    return await service.ingest.judged(partial(overlay.of, inspected, kind))


async def compare(
    service: Service, name: str, upload: Upload, *, version: int | None = None
) -> Compared:
    """Say how far images, as one batch, are from the fitted ones.

    Raises:
        DegenerateDataError: if fewer than two images can be used.
        UnknownDetectorError, NotFittedError, FingerprintMismatchError, InvalidMaskError,
        MaskMismatchError, OverloadedError, UnavailableError
    """
    # What was fitted is compared, not what was calibrated: that may be stale.
    stored, arrivals = await service.embed(name, upload, version=version, allow_stale=True)
    detector = stored.detector
    rejected: list[Rejected] = []
    usable: list[Embedding] = []
    for source, arrived in zip(upload.images, arrivals, strict=True):
        if isinstance(arrived, Arrived):
            usable.append(arrived.embedding)
        else:
            rejected.append(Rejected(source.name, problems.of(arrived).model_dump()))
    if len(usable) < 2:
        raise DegenerateDataError(
            f"{len(usable)} usable image(s): a divergence needs a batch of at least 2"
        )
    divergences = await service.ingest.judged(
        lambda: detector.divergence(Embedding.concatenate(usable))
    )
    return Compared(name, detector.version, len(usable), rejected, divergences)
