"""From a bundle to a detector that is kept; what it says is checked against itself."""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from app.errors import InvalidBundleError
from app.moving.bundle import DECISION, FIT, Bundle, chunk_name
from app.moving.packing import plain
from app.schemas.bundles import BundledImage
from app.storage import Storage
from app.storage.audit import By
from app.storage.lineage import Delta, Image
from app.storage.moved import keep_import, remove_leftovers
from app.storage.row_chunks import Arrival, RowChunks
from app.storage.version_reader import Stored
from detector.artefact import read_fit, with_decision
from detector.detector import Detector
from detector.embedding import VIEWS
from detector.errors import ArtefactError, DetectorError
from detector.row_file import read_rows
from detector.rows import Rows


def detector_of(bundle: Bundle, name: str) -> Detector:
    """Return the detector in a bundle, ready to judge, under its new name.

    Raises:
        InvalidSpecError: if no detector can have this name.
        InvalidBundleError: if it is none that could judge, or another than the manifest says.
    """
    manifest = bundle.manifest
    with sensible():
        came = with_decision(read_fit(bundle.read(FIT)), bundle.read(DECISION), version=1)
        spec = came.spec
        said = (manifest.spec, manifest.name, manifest.backbone, manifest.backbone_fingerprint)
        if said != (plain(spec), spec.name, spec.backbone, spec.backbone_fingerprint):
            raise InvalidBundleError("the manifest speaks of another detector than the one in it")
        if not came.statistics:
            raise InvalidBundleError("the detector in it was never fitted")
    named = replace(came, spec=replace(spec, name=name))
    with sensible():
        named.ready()
    return named


@contextmanager
def sensible() -> Iterator[None]:
    """Turn what goes wrong with statistics that fit nothing into one error."""
    try:
        with np.errstate(all="ignore"):
            yield
    except ArtefactError as error:  # of what came, not of what is stored here
        raise InvalidBundleError(str(error)) from error
    except DetectorError:
        raise
    except Exception as error:  # files by strangers fail in many ways
        raise InvalidBundleError(
            f"it holds no detector that can judge ({type(error).__name__}: {error})"
        ) from error


def keep(
    storage: Storage,
    bundle: Bundle,
    detector: Detector,
    by: By,
    *,
    rows: Rows | None,
    worst_difference: float,
) -> Stored:
    """Keep a detector that was checked, all of it or nothing.

    Args:
        storage: where.
        bundle: that it came in.
        detector: as it came, under its new name.
        by: who imports it.
        rows: of the golden images, which those of the bundle must be like; None to keep none.
        worst_difference: of the golden images' scores.

    Raises:
        InvalidBundleError: if rows are others than the images they stand for.
        DetectorExistsError: if there is one of this name.
        StorageUnavailableError
    """
    identity = uuid.uuid4().hex
    try:
        kept = _rows(storage, bundle, detector, identity, rows) if rows is not None else {}
        return keep_import(
            storage,
            identity,
            detector,
            by,
            parameters=_origin(bundle, worst_difference),
            images=[_delta(bundle, role, kept) for role in ("fit", "calibrate", "anomaly")],
        )
    except BaseException:
        remove_leftovers(storage, identity)
        raise


def _origin(bundle: Bundle, worst_difference: float) -> dict[str, Any]:
    """Return where a detector came from, as its version's parameters."""
    told = {"name", "version", "gatewatch", "lineage"}
    parity = {"images": len(bundle.golden.images), "worst_difference": worst_difference}
    return {"from": bundle.manifest.model_dump(include=told), "parity": parity}


def _rows(
    storage: Storage, bundle: Bundle, detector: Detector, identity: str, like: Rows
) -> dict[int, str]:
    """Keep the rows, file by file; return the blob of each."""
    chunks, run = RowChunks(storage.blobs), uuid.uuid4().hex
    by_chunk: dict[int, list[BundledImage]] = defaultdict(list)
    for image in bundle.images:
        if image.chunk is not None:
            by_chunk[image.chunk].append(image)
    kept = {}
    for place, (number, images) in enumerate(sorted(by_chunk.items())):
        with sensible():
            rows, about = read_rows(bundle.read(chunk_name(number)))
            views = VIEWS if images[0].role == "fit" and detector.spec.options.flips else 1
            _check(number, images, rows, like, views, about)
        arrivals = [
            Arrival(
                image.name,
                image.group,
                "anomaly" if image.role == "anomaly" else "normal",
                image.sha256,
                image.row,
            )
            for image in images
        ]
        backbone = detector.spec.backbone_fingerprint
        chunk = chunks.write(identity, run, place, arrivals, rows, views, backbone)
        kept[number] = chunk.blob
    return kept


def _check(
    number: int,
    images: Sequence[BundledImage],
    rows: Rows | None,
    like: Rows,
    views: int,
    about: dict[str, Any],
) -> None:
    """Refuse rows that are not those of their images. Raises InvalidBundleError."""
    name = chunk_name(number)
    if len({image.role == "fit" for image in images}) > 1:
        raise InvalidBundleError(f"{name} mixes fitted images with others")
    whole = [image.row for image in images] == list(range(len(images)))
    if not whole or rows is None or len(rows) != len(images) * views or about != {"views": views}:
        raise InvalidBundleError(f"{name} has rows of other images than {len(images)}")
    if _shapes(rows) != _shapes(like):
        raise InvalidBundleError(f"{name} has rows of another kind than this detector looks at")


def _shapes(rows: Rows) -> dict[str, Any]:
    """Return what all rows of one detector have in common."""
    return {name: (values.shape[1:], values.dtype) for name, values in rows.blocks.items()}


def _delta(bundle: Bundle, role: Any, kept: dict[int, str]) -> Delta:
    images = [image for image in bundle.images if image.role == role]
    added = [
        Image(image.sha256, image.name, image.group, kept[image.chunk], image.row)
        if image.chunk in kept
        else Image(image.sha256, image.name, image.group)
        for image in images
    ]
    return Delta(role, added=added)
