"""Calibrate a detector: score images that were not fitted, and draw the line."""

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

import numpy as np

from app import problems
from app.errors import AlreadyFittedError, RowsNotKeptError
from app.intake.spool import Images
from app.learning import leaving_out
from app.learning.collecting import Progress, Run
from app.learning.fitting import (
    Order,
    add,
    as_kept,
    base_of,
    rejections,
    require_images,
)
from app.lines import Line, decided
from app.results import Learned, Rejected
from app.service import Service
from app.storage.lineage import Delta, Image
from app.storage.row_chunks import Chunk
from app.storage.version_reader import Stored
from detector import conformal, thresholds
from detector.detector import Detector
from detector.scorers import Contributions
from detector.thresholds.conformal import Conformal


@dataclass(slots=True)
class _Seen:
    """What came of the images."""

    normal: list[Image] = field(default_factory=list)
    contributions: list[Contributions] = field(default_factory=list)
    anomalous: list[Image] = field(default_factory=list)
    anomalies: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0)])
    rejected: list[Rejected] = field(default_factory=list)


async def calibrate(
    service: Service, name: str, images: Images | None, order: Order, line: Line
) -> Learned:
    """Score held-out normal images, and known anomalies if any, and draw the line.

    Args:
        service: that runs.
        name: of the detector.
        images: to score; None for those of the last calibration, whose rows were kept.
        order: how it is asked for.
        line: the threshold that is wanted.

    Raises:
        UnknownDetectorError, UnknownVersionError, NotFittedError, NoImagesError,
        InvalidSpecError, InsufficientCalibrationError, MissingAnomaliesError,
        FingerprintMismatchError, InvalidMaskError, MaskMismatchError, ConflictError
        RowsNotKeptError: if no images are sent, and rows of earlier ones were not kept.
    """
    base = await base_of(service, name, order)
    detector = base.detector
    detector.require_fitted()
    service.catalogue.check_fingerprint(detector)
    fitted = await asyncio.to_thread(service.storage.versions.images, base.entry)
    if images is None:
        digests = {image.sha256 for image in fitted}
        chunks = _recalled(service, base, digests, order.progress)
    else:
        _refuse_early(images, line)
        look = await service.look(detector, images.mask)
        run = Run(base.entry.id, order.run, frozenset(image.sha256 for image in fitted))
        chunks = service.collector.collect(detector, images, look, run, order.progress)
    seen = await _score(service, detector, chunks)
    require_images(len(seen.normal), seen.rejected)
    calibrated = detector.calibrate(
        np.concatenate(seen.contributions),
        groups=[image.group for image in seen.normal],
        anomalies=np.concatenate(seen.anomalies),
    )
    calibrated = decided(calibrated, line)
    report = await leaving_out.report(service, calibrated, fitted, seen.normal)
    deltas = [
        Delta("calibrate", added=as_kept(service, seen.normal)),
        Delta("anomaly", added=as_kept(service, seen.anomalous)),
    ]
    stored = await add(service, base, calibrated, "calibrate", order, deltas)
    used = len(seen.normal) + len(seen.anomalous)
    return Learned(stored, used, seen.rejected, report)


def _refuse_early(images: Images, line: Line) -> None:
    """Refuse before the work what the number of images already forbids."""
    method = thresholds.configure(line.method, line.parameters)
    if isinstance(method, Conformal):
        normals = sum(entry.role == "normal" for entry in images.entries)
        conformal.rank(normals, method.target)


async def _score(service: Service, detector: Detector, chunks: AsyncIterator[Chunk]) -> _Seen:
    seen = _Seen()
    async for chunk in chunks:
        seen.rejected += rejections(chunk.arrivals)
        normal, anomalous = chunk.of("normal"), chunk.of("anomaly")
        if normal is not None:
            seen.normal += chunk.images("normal")
            parts = await service.in_pool(partial(detector.contributions, normal))
            seen.contributions.append(parts)
        if anomalous is not None:
            seen.anomalous += chunk.images("anomaly")
            seen.anomalies.append(await service.in_pool(partial(detector.scores, anomalous)))
    return seen


async def _recalled(
    service: Service, base: Stored, fitted: Collection[str], progress: Progress
) -> AsyncIterator[Chunk]:
    """Yield the chunks of the version's last calibration, without what was fitted since."""
    why = problems.of(AlreadyFittedError("this very image was fitted since it calibrated"))
    known = await asyncio.to_thread(service.storage.versions.calibration_images, base.entry)
    if not known or not known[0].rows_blob:
        raise RowsNotKeptError(
            f"detector {base.entry.name!r} has no rows of earlier calibration images: send images"
        )
    for blob, _ in groupby(known, key=lambda image: image.rows_blob):
        chunk = await asyncio.to_thread(service.chunks.read, blob)
        progress(len(chunk.arrivals))
        yield chunk.without(fitted, why.model_dump())
