"""Detectors that leave for another service, and those that come from one.

Of a detector that comes, rows and files are written first, then all that names them in one
transaction: a crash in between leaves files that nothing names, and the sweep removes them.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from app.clock import now
from app.errors import DetectorExistsError, StorageUnavailableError
from app.storage import Storage, lineage
from app.storage.audit import By, record
from app.storage.detector_files import DetectorFiles, folder
from app.storage.lineage import Delta
from app.storage.tables import DETECTORS
from app.storage.version_reader import Stored
from app.storage.version_rows import insert_version, summary_of
from detector.detector import Detector


def note_export(storage: Storage, name: str, by: By, after: Mapping[str, Any]) -> None:
    """Write to the audit that a detector was given away."""
    with storage.database.write() as connection:
        record(connection, by, "detector.export", name, after=after)


def keep_import(
    storage: Storage,
    identity: str,
    detector: Detector,
    by: By,
    *,
    parameters: Mapping[str, Any],
    images: Sequence[Delta],
) -> Stored:
    """Keep a detector that came, as version 1 of a new one.

    Args:
        storage: where.
        identity: of the new detector, in whose folder the rows of its images are.
        detector: under its new name.
        by: who imports it.
        parameters: where it came from.
        images: that it knows.

    Raises:
        DetectorExistsError: if there is one of this name.
    """
    name, moment = detector.spec.name, now()
    files = DetectorFiles(storage.blobs).write(identity, detector)
    with storage.database.write() as connection:
        new = insert(DETECTORS).values(
            id=identity,
            name=name,
            in_service=1,
            tip=1,
            last_version=1,
            created_at=moment,
            updated_at=moment,
        )
        try:
            connection.execute(new)
        except IntegrityError as error:
            raise DetectorExistsError(
                f"a detector {name!r} exists already: give the one that comes another name"
            ) from error
        insert_version(connection, identity, 1, None, "import", files, detector, parameters, by)
        lineage.write(connection, identity, 1, images)
        record(connection, by, "detector.import", name, after=summary_of(detector))
    return storage.versions.get(name)


def remove_leftovers(storage: Storage, identity: str) -> None:
    """Remove what was written of a detector that was not kept; or leave it to the sweep."""
    with contextlib.suppress(StorageUnavailableError):
        storage.blobs.delete_all(folder(identity))
