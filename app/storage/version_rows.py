"""Rows of detectors and versions: what they say, and how they are read, locked and written."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, union

from app.clock import now
from app.errors import ConflictError, UnknownVersionError, no_detector
from app.storage.audit import By
from app.storage.detector_files import Files
from app.storage.tables import DETECTORS, VERSION_IMAGES, VERSIONS
from detector.detector import Detector

Change = Literal[
    "create", "replace", "extend", "forget", "calibrate", "threshold", "review", "import"
]


@dataclass(frozen=True, slots=True)
class Entry:
    """A detector's row, and what one of its versions says of itself."""

    id: str
    name: str
    in_service: int
    tip: int
    shadow: int | None
    created_at: datetime
    updated_at: datetime
    version: "Version"


@dataclass(frozen=True, slots=True)
class Version:
    """A version's row."""

    version: int
    parent: int | None
    change: Change
    summary: Mapping[str, Any]
    parameters: Mapping[str, Any]
    who: str
    reason: str
    request_id: str
    created_at: datetime
    files: Files


def summary_of(detector: Detector) -> dict[str, Any]:
    """Return what a listing shows of a version, so that no file need be read for it."""
    known = detector.calibration
    return {
        "spec": detector.spec.plain(),
        "state": detector.state,
        "stale": detector.stale,
        "fitted_images": detector.fitted_images,
        "calibration_images": detector.calibration_images,
        "groups": 0 if known is None else len(known.names),
        "known_anomalies": 0 if known is None else len(known.anomalies),
        "threshold": asdict(detector.threshold) if detector.threshold else None,
    }


def find(connection: Connection, name: str, version: int | None = None) -> Entry:
    """Return a detector at a version, by default that in service.

    Raises:
        UnknownDetectorError, UnknownVersionError
    """
    number = DETECTORS.c.in_service if version is None else version
    row = connection.execute(joined(number).where(DETECTORS.c.name == name)).first()
    if row is not None:
        return entry_of(row)
    known = select(DETECTORS.c.last_version).where(DETECTORS.c.name == name)
    last = connection.scalar(known)
    if last is None:
        raise no_detector(name)
    raise UnknownVersionError(
        f"detector {name!r} has no version {version}: list its versions; the latest is {last}"
    )


def joined(version: Any) -> Any:
    """Return the query for detectors, each at a version."""
    versions = [column.label(f"v_{column.name}") for column in VERSIONS.c]
    return select(*DETECTORS.c, *versions).join(
        VERSIONS, (VERSIONS.c.detector_id == DETECTORS.c.id) & (VERSIONS.c.version == version)
    )


def locked(connection: Connection, entry: Entry) -> Row[Any]:
    """Return the detector's row, which nobody else changes before the transaction's end.

    Raises:
        ConflictError: if the detector or the entry's version is not there any more.
    """
    ours = DETECTORS.c.id == entry.id
    connection.execute(select(DETECTORS.c.id).where(ours).with_for_update())
    # Read once it is locked: PostgreSQL would join what was there before it waited for the lock.
    row: Row[Any] | None = connection.execute(joined(entry.version.version).where(ours)).first()
    if row is None:
        raise ConflictError(
            f"detector {entry.name!r}, version {entry.version.version}, was deleted meanwhile: "
            "nothing done"
        )
    return row


def blobs_of(connection: Connection, detector_id: str) -> set[str]:
    """Return the names of all blobs that a detector's versions name."""
    named = union(
        *(
            select(column).where(column.table.c.detector_id == detector_id)
            for column in (
                VERSIONS.c.fit_blob,
                VERSIONS.c.decision_blob,
                VERSION_IMAGES.c.rows_blob,
            )
        )
    )
    return set(connection.scalars(named)) - {""}


def made_by(connection: Connection, detector_id: str, run: str | None) -> int | None:
    """Return the version that a run has made, if it has."""
    if run is None:
        return None
    return connection.scalar(
        select(VERSIONS.c.version).where(
            VERSIONS.c.detector_id == detector_id, VERSIONS.c.run == run
        )
    )


def insert_version(
    connection: Connection,
    detector_id: str,
    version: int,
    parent: int | None,
    change: Change,
    files: Files,
    detector: Detector,
    parameters: Mapping[str, Any],
    by: By,
    run: str | None = None,
) -> None:
    """Keep a version's row."""
    connection.execute(
        insert(VERSIONS).values(
            detector_id=detector_id,
            version=version,
            parent=parent,
            run=run,
            change=change,
            fit_blob=files.fit,
            decision_blob=files.decision,
            summary=summary_of(detector),
            parameters=dict(parameters),
            who=by.who,
            reason=by.reason,
            request_id=by.request_id,
            created_at=now(),
        )
    )


def entry_of(row: Row[Any]) -> Entry:
    """Return what a row of the joined query says."""
    return Entry(
        row.id,
        row.name,
        row.in_service,
        row.tip,
        row.shadow,
        row.created_at,
        row.updated_at,
        version_of(row, "v_"),
    )


def version_of(row: Row[Any], prefix: str = "") -> Version:
    """Return what a version's row says."""

    def of(name: str) -> Any:
        return getattr(row, prefix + name)

    return Version(
        of("version"),
        of("parent"),
        of("change"),
        of("summary"),
        of("parameters"),
        of("who"),
        of("reason"),
        of("request_id"),
        of("created_at"),
        Files(of("fit_blob"), of("decision_blob")),
    )
