"""Calibrate a detector: score images that were not fitted, and draw the line."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial

import numpy as np

from app import problems
from app.errors import AlreadyFittedError, DuplicateImageError, RowsNotKeptError
from app.intake.spool import Images
from app.learning import leaving_out
from app.learning.collecting import Progress, Run
from app.learning.fitting import add, as_kept, base_of, rejections, require_images
from app.learning.order import Order
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
    inputs: list[np.ndarray | None] = field(default_factory=list)
    anomalous: list[Image] = field(default_factory=list)
    anomalies: list[np.ndarray] = field(default_factory=lambda: [np.zeros(0)])
    rejected: list[Rejected] = field(default_factory=list)


async def calibrate(
    service: Service, name: str, images: Images | None, order: Order, line: Line | None
) -> Learned:
    """Score held-out normal images, and known anomalies if any, and draw the line.

    Args:
        service: that runs.
        name: of the detector.
        images: to score; None for those of the last calibration, whose rows were kept.
        order: how it is asked for.
        line: the threshold that is wanted; None for the same one as before, drawn on these scores.

    Raises:
        UnknownDetectorError, UnknownVersionError, NotFittedError, NoImagesError,
        InvalidSpecError, InsufficientCalibrationError, MissingAnomaliesError, DegenerateDataError,
        FingerprintMismatchError, InvalidMaskError, MaskMismatchError, ConflictError
        RowsNotKeptError: if no images are sent, and rows of earlier ones were not kept.
    """
    base = await base_of(service, name, order)
    detector = base.detector
    detector.require_fitted()
    service.catalogue.check_fingerprint(detector)
    fitted = await asyncio.to_thread(service.storage.versions.images, base.entry)
    warnings: list[str] = []
    if line is None:
        line, warnings = _same(detector)
        order = replace(order, parameters={**order.parameters, **asdict(line)})
    if images is None:
        digests = {image.sha256 for image in fitted}
        chunks = _recalled(service, base, digests, order.progress)
    else:
        _refuse_early(images, line)
        look = await service.look(detector, images.mask)
        run = Run(base.entry.id, order.run, frozenset(image.sha256 for image in fitted))
        chunks = service.collector.collect(detector, images, look, run, order.progress)
    return await drawn(service, base, chunks, fitted, order, line, warnings)


async def drawn(
    service: Service,
    base: Stored,
    chunks: AsyncIterator[Chunk],
    fitted: Sequence[Image],
    order: Order,
    line: Line,
    warnings: Sequence[str] = (),
) -> Learned:
    """Draw the line on the scores of rows at hand, and keep the version that has it.

    Args:
        service: that runs.
        base: the fitted version.
        chunks: rows of images that were not fitted.
        fitted: the images that were.
        order: how it is asked for.
        line: the threshold that is wanted.
        warnings: for the answer.

    Raises:
        as ``calibrate``.
    """
    detector = base.detector
    seen = await _score(service, detector, chunks)
    require_images(len(seen.normal), seen.rejected)
    calibrated = detector.calibrate(
        np.concatenate(seen.contributions),
        groups=[image.group for image in seen.normal],
        anomalies=np.concatenate(seen.anomalies),
    )
    seen_so = calibrated.require_calibrated().looking(seen.inputs)
    calibrated = decided(calibrated.having(calibration=seen_so), line)
    report = await leaving_out.report(service, calibrated, fitted, seen.normal)
    deltas = [
        Delta("calibrate", added=as_kept(service, seen.normal)),
        Delta("anomaly", added=as_kept(service, seen.anomalous)),
    ]
    stored = await add(service, base, calibrated, "calibrate", order, deltas)
    used = len(seen.normal) + len(seen.anomalous)
    return Learned(stored, used, seen.rejected, report, warnings)


def _same(detector: Detector) -> tuple[Line, list[str]]:
    """Return the line that a detector has, as it was asked for, and what to know of it then."""
    present = detector.threshold
    if present is None:
        return Line(), []
    warnings = []
    if present.method == "manual":
        warnings.append(
            f"The line was set by hand and stays at {present.value:g}, which says nothing of "
            "scores of another fit: recalibrate with a method to draw it anew."
        )
    if present.review is not None and present.review_target is None:
        warnings.append(
            "The review band is gone, as its rate is not known: recalibrate with a review target."
        )
    return Line.of(present), warnings


def _refuse_early(images: Images, line: Line) -> None:
    """Refuse before the work what the number of images already forbids."""
    method = thresholds.configure(line.method, line.parameters)
    if isinstance(method, Conformal):
        normals = sum(entry.role == "normal" for entry in images.entries)
        conformal.rank(normals, method.target)


async def _score(service: Service, detector: Detector, chunks: AsyncIterator[Chunk]) -> _Seen:
    seen = _Seen()
    once: set[tuple[str, str]] = set()
    async for arrived in chunks:
        chunk = _first(arrived, once)
        seen.rejected += rejections(chunk.arrivals)
        normal, anomalous = chunk.of("normal"), chunk.of("anomaly")
        if normal is not None:
            seen.normal += chunk.images("normal")
            parts = await service.in_pool(partial(detector.contributions, normal))
            seen.contributions.append(parts)
            seen.inputs.append(normal.inputs)
        if anomalous is not None:
            seen.anomalous += chunk.images("anomaly")
            seen.anomalies.append(await service.in_pool(partial(detector.scores, anomalous)))
    return seen


def _first(chunk: Chunk, once: set[tuple[str, str]]) -> Chunk:
    """Return a chunk without images that came before in the same role, and note those it has.

    A copy is no independent image: with it, a target would pass for which there are too few. What
    was kept of a run still holds it, so that this comes out alike whenever its chunks are read.
    """
    why = problems.of(DuplicateImageError("this very image came before: it calibrates but once"))
    arrivals = []
    for each in chunk.arrivals:
        key = (each.role, each.sha256)
        is_copy = each.row is not None and key in once
        arrivals.append(replace(each, row=None, problem=why.model_dump()) if is_copy else each)
        if each.row is not None:
            once.add(key)
    return replace(chunk, arrivals=arrivals)


async def _recalled(
    service: Service, base: Stored, fitted: Collection[str], progress: Progress
) -> AsyncIterator[Chunk]:
    """Yield the chunks of the version's last calibration, without what was fitted since."""
    why = problems.of(AlreadyFittedError("this very image was fitted since it calibrated"))
    versions = service.storage.versions
    normal = await asyncio.to_thread(versions.calibration_images, base.entry)
    known = [*normal, *await asyncio.to_thread(versions.known_anomalies, base.entry)]
    if not known or not all(image.rows_blob for image in known if image.sha256 not in fitted):
        raise RowsNotKeptError(
            f"detector {base.entry.name!r} has no rows of earlier calibration images, or not of "
            "all (GATEWATCH_KEEP_FITTED_ROWS): send images"
        )
    # A file may hold anomalies alone.
    for blob in dict.fromkeys(image.rows_blob for image in known if image.rows_blob):
        chunk = await asyncio.to_thread(service.chunks.read, blob)
        if chunk.backbone != base.detector.spec.backbone_fingerprint:
            raise RowsNotKeptError(
                f"the rows of earlier calibration images are of another network than detector "
                f"{base.entry.name!r} has now: send images"
            )
        progress(len(chunk.arrivals))
        yield chunk.without(fitted, why.model_dump())
