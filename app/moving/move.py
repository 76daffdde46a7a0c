"""Move a detector to another service: all of it in one file, and that file into a detector there.

What comes is believed only as far as it was checked: digests first, then what they cover, then
whether images have the same scores here. Nothing is kept before all of it has passed.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import IO

from app.errors import (
    DetectorExistsError,
    MissingBlobError,
    ParityError,
    UnknownDetectorError,
)
from app.moving import golden
from app.moving.bundle import Bundle
from app.moving.packing import pack
from app.moving.unpacking import detector_of, keep, sensible
from app.service import Service
from app.storage.audit import By
from app.storage.moved import note_export
from app.storage.version_reader import Stored
from detector.errors import FingerprintMismatchError, SampleError
from detector.kinds import learned_kind


@dataclass(frozen=True, slots=True)
class Brought:
    """A detector that came, at its first version here; and how well its scores agree."""

    stored: Stored
    worst_difference: float
    rows_kept: bool


async def export(
    service: Service,
    name: str,
    file: IO[bytes],
    by: By,
    *,
    version: int | None = None,
    rows: bool = False,
) -> Stored:
    """Write one version of a detector as a bundle; return which.

    Args:
        service: that runs.
        name: of the detector.
        file: to write to, from its beginning.
        by: who wants it.
        version: by default the one in service.
        rows: whether those of its images go along, so that they can be forgotten there.

    Raises:
        UnknownDetectorError, UnknownVersionError, UnavailableError, StorageUnavailableError
        NotFittedError: if there is nothing to move.
        FingerprintMismatchError: if it does not score here either.
        RowsNotKeptError: if rows are wanted and were not kept.
    """
    stored = await asyncio.to_thread(service.catalogue.get, name, version)
    stored.detector.require_fitted()
    service.catalogue.check_fingerprint(stored.detector)
    learned = await service.networks.of(stored.detector)
    if learned is None:
        pictures = golden.pictures(stored.detector, service.settings.min_image_side)
    else:
        pictures = golden.arrays(learned)
    scores, _ = await golden.score(service, stored.detector, list(pictures.values()))
    write = partial(pack, service, stored, file, pictures, scores, rows=rows)
    try:
        await asyncio.to_thread(write)
    except MissingBlobError:
        await asyncio.to_thread(service.storage.versions.entry, name, version)  # was it deleted?
        raise
    about = {"version": stored.detector.version, "rows": rows}
    await asyncio.to_thread(note_export, service.storage, name, by, about)
    return stored


async def bring(service: Service, file: IO[bytes], by: By, name: str = "") -> Brought:
    """Make a new detector of a bundle, by default under the name it had.

    Raises:
        InvalidBundleError: if it is none, or damaged.
        InvalidSpecError: if no detector can have this name.
        DetectorExistsError: if there is one of this name.
        FingerprintMismatchError: if it was fitted on another backbone.
        ParityError: if golden images do not have the scores here that they had there.
        InferenceError, UnavailableError, StorageUnavailableError
    """
    bundle = await asyncio.to_thread(Bundle, file)
    name = name or bundle.manifest.name
    await asyncio.to_thread(_require_free, service, name)
    detector = await asyncio.to_thread(detector_of, bundle, name)
    if learned_kind(detector.spec.kind) is None:
        _require_backbone(service, bundle)
    told = bundle.golden.images
    files = [await asyncio.to_thread(bundle.read, each.file) for each in told]
    try:
        with sensible():
            scores, rows = await golden.score(service, detector, files)
    except SampleError as error:
        raise ParityError(f"this service cannot score a golden image: {error}") from error
    worst = golden.check([each.score for each in told], scores, bundle.golden.tolerance)
    wanted = bundle.has_rows and service.settings.keep_fitted_rows
    kept = partial(
        keep,
        service.storage,
        bundle,
        detector,
        by,
        rows=rows if wanted else None,
        worst_difference=worst,
    )
    stored = service.catalogue.show(await asyncio.to_thread(kept))
    return Brought(stored, worst, wanted)


def _require_free(service: Service, name: str) -> None:
    try:
        service.storage.versions.entry(name)
    except UnknownDetectorError:
        return
    raise DetectorExistsError(f"a detector {name!r} exists already: give this one another name")


def _require_backbone(service: Service, bundle: Bundle) -> None:
    told, ours = bundle.manifest, service.embedder
    if (told.backbone, told.backbone_fingerprint) != (ours.name, ours.fingerprint):
        raise FingerprintMismatchError(
            f"the detector was fitted on backbone {told.backbone!r} "
            f"({told.backbone_fingerprint[:12]}), this service runs {ours.name!r} "
            f"({ours.fingerprint[:12]}): start it with GATEWATCH_BACKBONE and GATEWATCH_WEIGHTS "
            "as there"
        )
