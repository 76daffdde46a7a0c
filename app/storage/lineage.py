"""Which images a version knows: each version keeps what it added to and removed from its parent's.

The images of a version are found by following its parents back to the last fit that began anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from sqlalchemy import Connection, insert, select

from app.storage.tables import VERSION_IMAGES, VERSIONS

Role = Literal["fit", "calibrate", "anomaly"]
ANEW = {"create", "replace", "import"}
"""Changes after which nothing is left of what was fitted before."""
_AT_ONCE = 5000
"""Images that are written with one statement."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image of a version: the digest of its file, and where its rows lie.

    ``rows_blob`` is empty where rows were not kept; ``row`` is the image's place in that file.
    """

    sha256: str
    name: str
    group: str = ""
    rows_blob: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Delta:
    """What a version did to the images of its parent."""

    role: Role
    added: Sequence[Image] = ()
    removed: Sequence[Image] = ()


def write(connection: Connection, detector_id: str, version: int, deltas: Iterable[Delta]) -> None:
    """Keep what a version did."""
    signed = (
        (delta.role, sign, image)
        for delta in deltas
        for sign, images in ((1, delta.added), (-1, delta.removed))
        for image in images
    )
    rows = (
        {
            "detector_id": detector_id,
            "version": version,
            "place": place,
            "role": role,
            "sign": sign,
            "sha256": image.sha256,
            "name": image.name,
            "group": image.group,
            "rows_blob": image.rows_blob,
            "row": image.row,
        }
        for place, (role, sign, image) in enumerate(signed)
    )
    while some := list(islice(rows, _AT_ONCE)):
        connection.execute(insert(VERSION_IMAGES), some)


def fitted(connection: Connection, detector_id: str, version: int) -> list[Image]:
    """Return the images that a version was fitted to, in the order in which they came."""
    known: dict[tuple[str, str, int], Image] = {}
    for _, sign, image in _rows(connection, detector_id, version, "fit"):
        key = (image.sha256, image.rows_blob, image.row)
        if sign > 0:
            known[key] = image
        else:
            known.pop(key, None)
    return list(known.values())


def calibrated(connection: Connection, detector_id: str, version: int) -> list[Image]:
    """Return the normal images of a version's latest calibration."""
    rows = _rows(connection, detector_id, version, "calibrate")
    return [image for number, _, image in rows if number == rows[-1][0]]


def anomalous(connection: Connection, detector_id: str, version: int) -> list[Image]:
    """Return the known anomalies of a version's latest calibration, which may have had none."""
    normal = _rows(connection, detector_id, version, "calibrate")
    rows = _rows(connection, detector_id, version, "anomaly")
    return [image for number, _, image in rows if normal and number == normal[-1][0]]


def _ancestry(connection: Connection, detector_id: str, version: int) -> set[int]:
    """Return the versions that led to this one since it last began anew, and itself."""
    chosen = select(VERSIONS.c.version, VERSIONS.c.parent, VERSIONS.c.change).where(
        VERSIONS.c.detector_id == detector_id
    )
    known = {row.version: row for row in connection.execute(chosen)}
    found: set[int] = set()
    at: int | None = version
    while at is not None:
        row = known[at]
        found.add(at)
        at = None if row.change in ANEW else row.parent
    return found


def _rows(
    connection: Connection, detector_id: str, version: int, role: Role
) -> list[tuple[int, int, Image]]:
    """Return version, sign and image of all that led to a version, oldest first."""
    ancestry = _ancestry(connection, detector_id, version)
    kept = VERSION_IMAGES.c
    columns = (kept.sha256, kept.name, kept.group, kept.rows_blob, kept.row)
    # A parent's number is smaller. What stands beside the line of parents is read for nothing; a
    # list of their numbers could be longer than a statement may be.
    chosen = (
        select(kept.version, kept.sign, *columns)
        .where(
            kept.detector_id == detector_id,
            kept.version.between(min(ancestry), version),
            kept.role == role,
        )
        .order_by(kept.version, kept.place)
    )
    return [
        (number, sign, Image(*rest))
        for number, sign, *rest in connection.execute(chosen)
        if number in ancestry
    ]
