"""From the part of all images to versions of a detector: one that is fitted, one that has a line.

They are the versions that ``app.learning`` makes, with the same rules. Two things differ. Rows of
fitted images are not kept, for there may be millions: none of them can be forgotten alone. And the
images to calibrate on are those that were held out, whose rows are at hand.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.bulk.errors import PartsMismatchError
from app.bulk.part import Part, whole_mask
from app.bulk.plan import Allowed
from app.errors import UnknownDetectorError
from app.learning import calibrating
from app.learning.collecting import CHUNK_IMAGES
from app.learning.fitting import add, base_of, require_images
from app.learning.order import Order
from app.lines import Line, decided
from app.results import Learned
from app.service import Service
from app.storage.lineage import Delta, Image
from app.storage.row_chunks import Arrival, Chunk
from app.storage.version_reader import Stored
from app.storage.version_rows import Change
from detector.detector import Detector
from detector.errors import FingerprintMismatchError, InsufficientCalibrationError


@dataclass(frozen=True, slots=True)
class Finished:
    """The version that is fitted, and the one with a line, if images were held out."""

    fitted: Learned
    calibrated: Learned | None


def run_of(files: Sequence[Path], name: str, *, extend: bool) -> str:
    """Return the run that finishing these parts is, in any order; repeating it makes no more."""
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return _short([*sorted(digests), name, extend])


async def finish(
    service: Service,
    name: str,
    part: Part,
    order: Order,
    line: Line,
    *,
    extend: bool = False,
    allowed: Allowed | None = None,
) -> Finished:
    """Make versions of a part; make the detector if there is none of the name.

    All that can be refused is, before anything is changed. If the process ends between the two
    versions, the same order makes what is missing: a part is never learned twice.

    Args:
        service: that runs.
        name: of the detector.
        part: of all images.
        order: how it is asked for; its run names the parts (``run_of``).
        line: the threshold that is wanted, if images were held out.
        extend: whether they are added to what the detector knows.
        allowed: to have been left out.

    Raises:
        TooManyFailedError: if more was.
        PartsMismatchError: if the detector that is there is another one than the parts are of.
        InsufficientCalibrationError: if too few were held out for the line; nothing is done then.
        UnknownVersionError, NoImagesError, DegenerateDataError, InvalidSpecError,
        FingerprintMismatchError, MissingAnomaliesError, ConflictError
    """
    _check_used(part, allowed or Allowed())
    _check_backbone(service, part)
    base = await _there(service, name, order)
    stored = None if base is None else await _made_before(service, base, order)
    if stored is not None:
        base = stored
    known: Sequence[Image] = ()
    if base is not None and (extend or stored):
        known = await asyncio.to_thread(service.storage.versions.images, base.entry)
    held = _unfitted(part, {image.sha256 for image in known})
    old = part.unfitted if base is None else _checked(service, base.detector, part, extend=extend)
    learned = old
    if stored is None:
        old = replace(old, spec=replace(old.spec, name=name))
        learned = await service.in_pool(partial(old.learn, part.statistics, extend=extend))
    calibrates = part.hold_out.share > 0 and part.hold_out.most > 0
    if calibrates:
        await service.in_pool(partial(_check_line, learned, part, held, line))
    fitting = replace(order, parameters={**order.parameters, **_about(part)})
    if stored is None:
        if base is None:
            base = await _made(service, name, part, order)
            learned = replace(learned, version=base.detector.version)
        delta = Delta("fit", added=part.fitted)
        change: Change = "extend" if extend else "replace"
        stored = await add(service, base, learned, change, fitting, [delta])
        known = [*known, *part.fitted]
    fitted = Learned(stored, len(part.fitted), list(part.rejected))
    if not calibrates:
        return Finished(fitted, None)
    run = _short([order.run, _asked(line)])
    calibrated = await calibrating.drawn(
        service,
        stored,
        _chunks(service, stored, part, held, run),
        known,
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


async def _made_before(service: Service, base: Stored, order: Order) -> Stored | None:
    """Return the fitted version that this very run has made, and then ended early."""
    versions = service.storage.versions
    return await asyncio.to_thread(versions.made_by, base.entry, order.run)


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


def _check_used(part: Part, allowed: Allowed) -> None:
    failed = list(part.rejected)
    require_images(part.images - len(failed), failed)
    part.require_used(allowed)
    require_images(len(part.fitted), failed)


def _check_line(learned: Detector, part: Part, held: Sequence[int], line: Line) -> None:
    """Refuse what the line cannot be drawn of, by drawing it."""
    advice = "begin anew with a larger --hold-out or more --calibration-images"
    if not held:
        raise InsufficientCalibrationError(f"no image was held out: {advice}")
    assert part.held.rows is not None
    rows = part.held.rows
    scores = [
        learned.contributions(rows.take(held[begin : begin + CHUNK_IMAGES]))
        for begin in range(0, len(held), CHUNK_IMAGES)
    ]
    groups = [part.held.images[at].group for at in held]
    try:
        decided(learned.calibrate(np.concatenate(scores), groups=groups), line)
    except InsufficientCalibrationError as error:
        raise InsufficientCalibrationError(f"{error}. Of what was held out: {advice}") from error


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


def _short(what: Sequence[Any]) -> str:
    """Return a name for a run, as long as those of jobs."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]
