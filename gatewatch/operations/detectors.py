"""Detectors: make, list, show, delete, and carry them elsewhere as one file."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gatewatch.answers import DetectorInfo, DetectorList, Imported, Options
from gatewatch.bodies import Mask, Raw, mask_json
from gatewatch.calls import Call, answers, document, nothing
from gatewatch.images import Path_, of_path
from gatewatch.reading import read


def create(
    name: str,
    *,
    kind: str | None = None,
    view: Mapping[str, Any] | None = None,
    scorer: str | None = None,
    image_size: int | None = None,
    descriptor: str | None = None,
    backbone: str | None = None,
    mask: Mask = None,
    options: Options | Mapping[str, Any] | None = None,
    reason: str = "",
) -> Call[DetectorInfo]:
    """Create a detector; it must be fitted before it can score. What is None is as by default.

    A kind says what its samples are: images unless told otherwise; ``info().kinds`` has those there
    are, and of each what a view may say of how samples are looked at.
    A mask is ``"request"`` (one comes with every image), polygons, or an image, white where the
    picture counts.
    """
    body = {
        "name": name,
        "backbone": backbone,
        "kind": kind,
        "view": None if view is None else dict(view),
        "scorer": scorer,
        "descriptor": descriptor,
        "image_size": image_size,
        "mask": None if mask is None else mask_json(mask),
        "options": asdict(options) if isinstance(options, Options) else options,
    }
    return Call(
        "POST /v1/detectors",
        answers(DetectorInfo),
        document={key: value for key, value in body.items() if value is not None},
        query={"reason": reason},
    )


def detectors() -> Call[list[DetectorInfo]]:
    """Return all detectors, by name."""
    return Call(
        "GET /v1/detectors", lambda content: read(DetectorList, document(content)).detectors
    )


def detector(name: str) -> Call[DetectorInfo]:
    """Return a detector's state."""
    return Call("GET /v1/detectors/{name}", answers(DetectorInfo), parts={"name": name})


def delete(name: str, *, reason: str = "") -> Call[None]:
    """Delete a detector and what it has learned."""
    return Call(
        "DELETE /v1/detectors/{name}", nothing, parts={"name": name}, query={"reason": reason}
    )


def export(
    name: str, to: Path_, *, version: int | None = None, rows: bool = False, reason: str = ""
) -> Call[Path]:
    """Write a version to a file that another gatewatch can import; the one in service by default.

    With ``rows`` its images can be forgotten there, and it can be calibrated again.
    """
    path = Path(to)
    return Call(
        "GET /v1/detectors/{name}/export",
        lambda _: path,
        parts={"name": name},
        query={"version": version, "rows": rows, "reason": reason},
        to=path,
    )


def import_(file: Path_, *, name: str | None = None, reason: str = "") -> Call[Imported]:
    """Make a detector of an exported file, if images have the same scores there as here."""
    return Call(
        "POST /v1/import",
        answers(Imported),
        query={"name": name, "reason": reason},
        body=Raw(of_path(Path(file), ""), "application/zip"),
    )
