"""From the part of all images to versions of a detector: one that is fitted, one that has a line.

They are the versions that ``app.learning`` makes, with the same rules. Two things differ. Rows of
fitted images are not kept, for there may be millions: none of them can be forgotten alone. And the
images to calibrate on are those that were held out, whose rows are at hand.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from app.bulk.errors import PartsMismatchError, TooManyFailedError
from app.bulk.part import Part, whole_mask
from app.errors import UnknownDetectorError
from app.learning import calibrating
from app.learning.collecting import CHUNK_IMAGES
from app.learning.fitting import Order, add, base_of, require_images
from app.lines import Line
from app.results import Learned
from app.service import Service
from app.storage.lineage import Delta, Image
from app.storage.row_chunks import Arrival, Chunk
from app.storage.version_reader import Stored
from detector import conformal, thresholds
from detector.detector import Detector
from detector.errors import FingerprintMismatchError, InsufficientCalibrationError
from detector.thresholds.conformal import Conformal


@dataclass(frozen=True, slots=True)
class Finished:
    """The version that is fitted, and the one with a line, if images were held out."""

    fitted: Learned
    calibrated: Learned | None


async def finish(
    service: Service,
    name: str,
    part: Part,
    order: Order,
    line: Line,
    *,
    extend: bool = False,
    most_failed: float = 0.5,
) -> Finished:
    """Make versions of a part; make the detector if there is none of the name.

    Args:
        service: that runs.
        name: of the detector.
        part: of all images.
        order: how it is asked for.
        line: the threshold that is wanted, if images were held out.
        extend: whether they are added to what the detector knows.
        most_failed: share of the images that may have been left out.

    Raises:
        TooManyFailedError: if more were.
        PartsMismatchError: if the detector that is there is another one than the parts are of.
        InsufficientCalibrationError: if too few were held out for the line; nothing is done then.
        UnknownVersionError, NoImagesError, DegenerateDataError, InvalidSpecError,
        FingerprintMismatchError, MissingAnomaliesError, ConflictError
    """
    _check_failed(part, most_failed)
    _check_backbone(service, part)
    base = await _there(service, name, order)
    known: Sequence[Image] = ()
    if extend and base is not None:
        known = await asyncio.to_thread(service.storage.versions.images, base.entry)
    held = _unfitted(part, {image.sha256 for image in known})
    calibrates = part.hold_out.share > 0 and part.hold_out.most > 0
    if calibrates:
        _refuse_early(len(held), line)
    if base is None:
        base = await _made(service, name, part, order)
    detector = _checked(service, base.detector, part, extend=extend)
    fitting = replace(order, parameters={**order.parameters, **_about(part)})
    learned = await service.in_pool(partial(detector.learn, part.statistics, extend=extend))
    delta = Delta("fit", added=part.fitted)
    change = "extend" if extend else "replace"
    stored = await add(service, base, learned, change, fitting, [delta])  # type: ignore[arg-type]
    fitted = Learned(stored, len(part.fitted), list(part.rejected))
    if not calibrates:
        return Finished(fitted, None)
    run = f"{order.run}c"
    calibrated = await calibrating.drawn(
        service,
        stored,
        _chunks(service, stored, part, held, run),
        [*known, *part.fitted],
        replace(order, run=run, base=None, parameters={**fitting.parameters, **_asked(line)}),
        line,
    )
    return Finished(fitted, calibrated)


async def _there(service: Service, name: str, order: Order) -> Stored | None:
    try:
        return await base_of(service, name, order)
    except UnknownDetectorError:
        if order.base is not None or order.detector_id:
            raise
        return None


async def _made(service: Service, name: str, part: Part, order: Order) -> Stored:
    """Create the detector that the part is of."""
    spec = part.unfitted.spec
    what: dict[str, Any] = {
        "mask": part.unfitted.mask,
        "mask_kind": spec.mask,
        "scorer": spec.scorer,
        "descriptor": spec.descriptor,
        "image_size": spec.image_size,
        "options": spec.options,
    }
    return await asyncio.to_thread(partial(service.catalogue.create, name, order.by, **what))


def _check_backbone(service: Service, part: Part) -> None:
    theirs, ours = part.unfitted.spec.backbone_fingerprint, service.embedder.fingerprint
    if theirs != ours:
        raise FingerprintMismatchError(
            f"the parts were made on backbone {theirs[:12]}, this service runs {ours[:12]}: finish "
            "where the same backbone runs, with the same settings"
        )


def _checked(service: Service, old: Detector, part: Part, *, extend: bool) -> Detector:
    """Return the detector that learns, which must be the one that the part is of."""
    spec, ours = part.unfitted.spec, service.embedder
    if extend and old.statistics:
        service.catalogue.check_fingerprint(old)
    moved = replace(old.spec, backbone=ours.name, backbone_fingerprint=ours.fingerprint)
    same_mask = np.array_equal(whole_mask(old), whole_mask(part.unfitted))
    if replace(spec, name=moved.name) != moved or not same_mask:
        raise PartsMismatchError(
            f"the parts are of a detector with other options than {moved.name!r} has: make them "
            "where the detector is known, or with its options, or finish under another name"
        )
    return replace(old, spec=moved)


def _check_failed(part: Part, most: float) -> None:
    failed = list(part.rejected)
    require_images(part.images - len(failed), failed)
    if len(failed) > most * part.images:
        raise TooManyFailedError(
            f"{len(failed)} of {part.images} images could not be used, more than "
            f"{most:.0%}; the first, {failed[0].name!r}: {failed[0].detail}. If the rest is what "
            "shall be learned, allow more with --most-failed"
        )
    require_images(len(part.fitted), failed)


def _refuse_early(held: int, line: Line) -> None:
    """Refuse before anything is changed what the number of images held out forbids."""
    method = thresholds.configure(line.method, line.parameters)
    advice = "begin anew with a larger --hold-out or more --calibration-images"
    if not held:
        raise InsufficientCalibrationError(f"no image was held out: {advice}")
    if isinstance(method, Conformal):
        try:
            conformal.rank(held, method.target)
        except InsufficientCalibrationError as error:
            raise InsufficientCalibrationError(
                f"{error}. Of what was held out: {advice}"
            ) from error


def _unfitted(part: Part, fitted: set[str]) -> list[int]:
    """Return the places of the held-out images that the detector has not learned before."""
    return [at for at, image in enumerate(part.held.images) if image.sha256 not in fitted]


async def _chunks(
    service: Service, stored: Stored, part: Part, held: Sequence[int], run: str
) -> AsyncIterator[Chunk]:
    """Yield the rows of the held-out images, which are kept as those of a calibration are."""
    rows, images = part.held.rows, part.held.images
    assert rows is not None
    backbone = part.unfitted.spec.backbone_fingerprint
    for number, begin in enumerate(range(0, len(held), CHUNK_IMAGES)):
        places = held[begin : begin + CHUNK_IMAGES]
        arrivals = [
            Arrival(images[at].name, images[at].group, "normal", images[at].sha256, row)
            for row, at in enumerate(places)
        ]
        write = partial(
            service.chunks.write,
            stored.entry.id,
            run,
            number,
            arrivals,
            rows.take(places),
            1,
            backbone,
        )
        yield await asyncio.to_thread(write)


def _about(part: Part) -> dict[str, Any]:
    """Return what the lineage shall tell of how it was done."""
    plan = part.hold_out
    return {
        "hold_out": plan.share,
        "calibration_images": plan.most,
        "seed": plan.seed,
        "held_out": part.held.seen,
        "rejected": len(part.rejected),
    }


def _asked(line: Line) -> dict[str, Any]:
    return {
        "method": line.method,
        "parameters": dict(line.parameters),
        "by_group": line.by_group,
        "review_target": line.review_target,
    }
