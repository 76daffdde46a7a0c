"""What changes a detector by images: fit, extend, forget; each makes a new version.

All of it can be stopped at any moment and taken up again under the same run: rows that were kept
are not made again, and a version is there whole or not at all.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby

from app.errors import (
    NoImagesError,
    NothingLeftError,
    RowsNotKeptError,
    UnknownDetectorError,
    UnknownImageError,
)
from app.intake.spool import Images
from app.learning.collecting import Run
from app.learning.order import Order
from app.learning.training import trained
from app.results import Learned, Rejected
from app.service import Service
from app.storage.lineage import Delta, Image
from app.storage.row_chunks import Arrival
from app.storage.version_reader import Stored
from app.storage.version_rows import Change
from detector.detector import Detector
from detector.errors import MaskMismatchError
from detector.kinds import learned_kind
from detector.rows import Rows
from detector.statistics import Statistics, merge

NAMED_AT_MOST = 5


async def fit(
    service: Service, name: str, images: Images, order: Order, *, extend: bool
) -> Learned:
    """Fit a detector to normal images, in place of or on top of those it knows.

    Raises:
        UnknownDetectorError, UnknownVersionError, NoImagesError, DegenerateDataError,
        FingerprintMismatchError, InvalidMaskError, MaskMismatchError, ConflictError
    """
    base = await base_of(service, name, order)
    old = base.detector
    if extend and old.statistics:
        service.catalogue.check_fingerprint(old)
    else:
        old = await _afresh(service, base, images, order)
    look = await service.look(old, images.mask, fitting=True)
    run = Run(base.entry.id, order.run)
    fitted: Statistics = {}
    used: list[Image] = []
    rejected: list[Rejected] = []
    async for chunk in service.collector.collect(old, images, look, run, order.progress):
        rejected += rejections(chunk.arrivals)
        used += chunk.images("normal")
        rows = chunk.of("normal")
        if rows is not None:
            fitted = await service.in_pool(partial(_merged, fitted, old, rows))
    require_images(len(used), rejected)
    learned = await service.in_pool(partial(old.learn, fitted, extend=extend))
    change: Change = "extend" if extend else "replace"
    delta = Delta("fit", added=as_kept(service, used))
    stored = await add(service, base, learned, change, order, [delta])
    return Learned(stored, len(used), rejected)


async def _afresh(service: Service, base: Stored, images: Images, order: Order) -> Detector:
    """Return a detector to be fitted anew: on the backbone that runs now, or one that learns."""
    old = base.detector
    kind = learned_kind(old.spec.kind)
    if kind is None:
        ours = service.embedder
        spec = replace(old.spec, backbone=ours.name, backbone_fingerprint=ours.fingerprint)
        return replace(old, spec=spec)
    if images.mask is not None:  # before minutes of training
        raise MaskMismatchError(f"samples of kind {old.spec.kind!r} have no mask: send none")
    learned = await trained(service, kind, old.spec.view, images, base.entry.id, order)
    spec = replace(old.spec, backbone_fingerprint=learned.fingerprint)
    return replace(old, spec=spec, network=await asyncio.to_thread(learned.to_bytes))


async def forget(
    service: Service, name: str, order: Order, *, digests: Collection[str], groups: Collection[str]
) -> Learned:
    """Take images out of what was fitted, by the SHA-256 of their file or by group.

    Every image of that digest or group is forgotten, exactly, from the rows that were kept.

    Raises:
        UnknownDetectorError, UnknownVersionError, NotFittedError, ConflictError
        UnknownImageError: if a digest or group was not fitted; then nothing is done.
        RowsNotKeptError: if the rows of one of them were not kept.
        NothingLeftError: if no image would be left.
        DegenerateDataError: if those that are left define no distance.
    """
    base = await base_of(service, name, order)
    base.detector.require_fitted()
    known = await asyncio.to_thread(service.storage.versions.images, base.entry)
    gone = [each for each in known if each.sha256 in digests or each.group in groups]
    _require_fitted(gone, digests, groups)
    if len(gone) == len(known):
        raise NothingLeftError(
            f"all {len(known)} images would be forgotten: fit others with mode=replace, or delete "
            "the detector"
        )
    forgotten: Statistics = {}
    async for images, rows in rows_of(service, gone):
        forgotten = await service.in_pool(partial(_merged, forgotten, base.detector, rows))
        order.progress(len(images))
    left = await service.in_pool(partial(base.detector.forget, forgotten))
    delta = Delta("fit", removed=gone)
    return Learned(await add(service, base, left, "forget", order, [delta]), len(gone), [])


async def base_of(service: Service, name: str, order: Order) -> Stored:
    """Return the version that a change builds on.

    Raises:
        UnknownDetectorError, UnknownVersionError
    """
    base = await asyncio.to_thread(service.catalogue.base, name, order.base)
    if order.detector_id not in ("", base.entry.id):
        raise UnknownDetectorError(f"another detector is called {name!r} now")
    return base


async def add(
    service: Service,
    base: Stored,
    new: Detector,
    change: Change,
    order: Order,
    images: Iterable[Delta],
) -> Stored:
    """Keep a new version; once this has begun it is too late to be cancelled.

    Raises:
        ConflictError: as ``Versions.add``.
    """
    keep = partial(
        service.storage.versions.add,
        base,
        new,
        change,
        order.by,
        parameters=order.parameters,
        images=list(images),
        promote=order.promote,
        run=order.run,
        serving=order.serving,
    )
    making = asyncio.ensure_future(asyncio.to_thread(keep))
    try:
        stored = await asyncio.shield(making)
    except asyncio.CancelledError:
        stored = await making  # a thread is not stopped: the version comes, and so must be told
    return service.catalogue.show(stored)


async def rows_of(
    service: Service, images: Iterable[Image]
) -> AsyncIterator[tuple[list[Image], Rows]]:
    """Yield images with their rows, a file's at a time.

    Raises:
        RowsNotKeptError: if rows were not kept.
    """
    ordered = sorted(images, key=lambda image: (image.rows_blob, image.row))
    if ordered and not ordered[0].rows_blob:
        raise RowsNotKeptError(
            f"the rows of {ordered[0].name!r} were not kept (GATEWATCH_KEEP_FITTED_ROWS): fit the "
            "images that shall stay with mode=replace"
        )
    for blob, group in groupby(ordered, key=lambda image: image.rows_blob):
        part = list(group)
        chunk = await asyncio.to_thread(service.chunks.read, blob)
        rows = chunk.take([image.row for image in part])
        assert rows is not None  # there is at least one image in a group
        yield part, rows


def rejections(arrivals: Iterable[Arrival]) -> list[Rejected]:
    """Return the images that were left out."""
    return [Rejected(each.name, each.problem) for each in arrivals if each.problem is not None]


def require_images(used: int, rejected: Sequence[Rejected]) -> None:
    """Refuse to learn from nothing. Raises NoImagesError."""
    if used:
        return
    first = f"; the first, {rejected[0].name!r}: {rejected[0].detail}" if rejected else ""
    raise NoImagesError(f"none of {len(rejected)} image(s) could be used{first}")


def as_kept(service: Service, images: Sequence[Image]) -> list[Image]:
    """Return images as a version lists them: without rows if those are not to be kept."""
    if service.settings.keep_fitted_rows:
        return list(images)
    return [replace(image, rows_blob="", row=0) for image in images]


def _merged(known: Statistics, detector: Detector, rows: Rows) -> Statistics:
    return merge(known, detector.statistics_of(rows))


def _require_fitted(
    gone: Iterable[Image], digests: Collection[str], groups: Collection[str]
) -> None:
    found = list(gone)
    strays = sorted(set(digests) - {image.sha256 for image in found})
    strays += sorted(set(groups) - {image.group for image in found})
    if strays or not found:
        named = ", ".join(map(repr, strays[:NAMED_AT_MOST])) or "none given"
        raise UnknownImageError(
            f"{max(len(strays), 1)} digest(s) or group(s) that this version was not fitted to: "
            f"{named}; the list of the version's images holds those it was"
        )
