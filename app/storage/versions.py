"""Detectors and their versions: immutable, numbered, one in service, one perhaps its shadow.

The files of a new version are written first, then its row and the detector's in one transaction: a
crash in between leaves files that no row names, and nothing half-made is ever seen.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.clock import now
from app.errors import (
    ConflictError,
    DetectorExistsError,
    InServiceError,
    NoPreviousVersionError,
    UnknownVersionError,
)
from app.storage import lineage
from app.storage.audit import By, record
from app.storage.lineage import Delta
from app.storage.notices import tell_of_deletion
from app.storage.serving import Promote, aside, leads, point, require_able, serves
from app.storage.tables import DETECTORS, VERSIONS
from app.storage.version_reader import Stored, VersionReader
from app.storage.version_rows import (
    Change,
    Entry,
    blobs_of,
    find,
    insert_version,
    locked,
    made_by,
    summary_of,
)
from detector.detector import Detector


class Versions(VersionReader):
    """Makes versions and says which one serves; each change is one transaction."""

    def create(self, detector: Detector, by: By, change: Change = "create") -> Stored:
        """Keep a new detector as its version 1.

        Raises:
            DetectorExistsError: if there is one of this name.
        """
        identity, name, moment = uuid.uuid4().hex, detector.spec.name, now()
        files = self._files.write(identity, detector)
        try:
            with self._database.write() as connection:
                connection.execute(
                    insert(DETECTORS).values(
                        id=identity,
                        name=name,
                        in_service=1,
                        tip=1,
                        last_version=1,
                        created_at=moment,
                        updated_at=moment,
                    )
                )
                insert_version(connection, identity, 1, None, change, files, detector, {}, by)
                record(connection, by, f"detector.{change}", name, after=summary_of(detector))
        except IntegrityError as error:
            self._files.remove_all(identity)
            raise DetectorExistsError(f"a detector {name!r} exists already") from error
        return self.get(name)

    def add(
        self,
        base: Stored,
        new: Detector,
        change: Change,
        by: By,
        *,
        parameters: Mapping[str, Any] | None = None,
        images: Iterable[Delta] = (),
        promote: Promote = "auto",
        run: str | None = None,
        serving: int | None = None,
    ) -> Stored:
        """Keep a new version that was made from ``base``; or return the one that ``run`` has made.

        ``serving`` is what was in service when the change began; None for when ``base`` was read.

        Raises:
            ConflictError: if the detector or the version it was made from was deleted meanwhile.
        """
        known = base.entry
        serving = known.in_service if serving is None else serving
        files = self._files.write(known.id, new, base.detector, known.version.files)
        try:
            with self._database.write() as connection:
                before = locked(connection, known)
                made = made_by(connection, known.id, run)
                if made is not None:  # and then its process died before it could say so
                    raise _AlreadyMadeError(made)
                number = before.last_version + 1
                insert_version(
                    connection,
                    known.id,
                    number,
                    known.version.version,
                    change,
                    files,
                    new,
                    dict(parameters or {}),
                    by,
                    run,
                )
                lineage.write(connection, known.id, number, images)
                summary = summary_of(new)
                does_serve = serves(connection, before, summary, promote, serving)
                does_lead = leads(before, change, known.version.version, promote, serving)
                in_service = number if does_serve else before.in_service
                connection.execute(
                    update(DETECTORS)
                    .where(DETECTORS.c.id == known.id)
                    .values(
                        last_version=number,
                        tip=number if does_lead else before.tip,
                        in_service=in_service,
                        previous=before.in_service if does_serve else before.previous,
                        updated_at=now(),
                    )
                )
                record(
                    connection,
                    by,
                    f"version.{change}",
                    known.name,
                    before={"version": known.version.version, "in_service": before.in_service},
                    after={"version": number, "in_service": in_service, **summary},
                )
        except (ConflictError, _AlreadyMadeError) as error:
            # Only where it is sure that no row names them: a commit may be heard of no more and
            # have been made; what is left otherwise is swept up.
            for name in {files.fit, files.decision} - {known.version.files.fit}:
                self._files.remove(name)
            if not isinstance(error, _AlreadyMadeError):
                raise
            number = error.version
        kept = self.get(known.name, number)
        return replace(kept, aside=aside(kept.entry, promote, serving))

    def promote(self, name: str, version: int, by: By, **allowed: bool) -> Entry:
        """Put a version in service; the next change builds on it.

        Raises:
            UnknownDetectorError
            as ``app.storage.serving.require_able``, which says what may be ``allowed``.
        """
        with self._changing(name) as (connection, before):
            require_able(connection, before, version, **allowed)
            return point(connection, before, by, "promote", in_service=version, tip=version)

    def rollback(self, name: str, by: By, **allowed: bool) -> Entry:
        """Put the version in service that was before the one that is: twice is where one was.

        Raises:
            UnknownDetectorError, NotFittedError, NotCalibratedError
                as ``app.storage.serving.require_able``, which says what may be ``allowed``.
            NoPreviousVersionError: if there was none, or it was deleted.
        """
        with self._changing(name) as (connection, before):
            to = before.previous
            if to is not None:
                with suppress(UnknownVersionError):
                    require_able(connection, before, to, **allowed)
                    return point(connection, before, by, "rollback", in_service=to, tip=to)
        raise NoPreviousVersionError(
            f"detector {name!r} has no version to go back to: list its versions, and promote one"
        )

    def shadow(self, name: str, version: int | None, by: By) -> Entry:
        """Let a version score alongside, or none.

        Raises:
            UnknownDetectorError, UnknownVersionError
        """
        with self._changing(name) as (connection, before):
            return point(connection, before, by, "shadow", shadow=version)

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[Connection, Row[Any]]]:
        """Give a transaction and the detector's row, locked. Raises UnknownDetectorError."""
        with self._database.write() as connection:
            yield connection, locked(connection, find(connection, name))

    def delete_version(self, name: str, version: int, by: By) -> None:
        """Delete a version that nothing points at and nothing was made from, and its files.

        Raises:
            UnknownDetectorError, UnknownVersionError
            InServiceError: if it is in service, the shadow, the tip, or another's parent.
        """
        with self._database.write() as connection:
            entry = find(connection, name, version)
            row = locked(connection, entry)
            ours = VERSIONS.c.detector_id == entry.id
            uses = {"in service": row.in_service, "the shadow": row.shadow, "the tip": row.tip}
            for use, number in uses.items():
                if number == version:
                    raise InServiceError(
                        f"version {version} of {name!r} is {use}: promote another one first"
                    )
            child = connection.scalar(
                select(VERSIONS.c.version).where(ours, VERSIONS.c.parent == version)
            )
            if child is not None:
                raise InServiceError(
                    f"version {child} of {name!r} was made from version {version} and tells its "
                    "images as changes of it: delete the later one first"
                )
            named = blobs_of(connection, entry.id)
            connection.execute(delete(VERSIONS).where(ours, VERSIONS.c.version == version))
            named -= blobs_of(connection, entry.id)
            record(connection, by, "version.delete", name, before={"version": version})
        for blob in named:
            self._files.remove(blob)

    def delete(self, name: str, by: By) -> str:
        """Delete a detector with all its versions; return its id. Raises UnknownDetectorError."""
        with self._database.write() as connection:
            entry = find(connection, name)
            locked(connection, entry)
            connection.execute(delete(DETECTORS).where(DETECTORS.c.id == entry.id))
            tell_of_deletion(connection, entry.id, by.who, by.reason)
            gone = {"in_service": entry.in_service, **entry.version.summary}
            record(connection, by, "detector.delete", name, before=gone)
        self._files.remove_all(entry.id)
        return entry.id


class _AlreadyMadeError(Exception):
    """A run has made its version before."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version
