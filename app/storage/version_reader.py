"""Reading detectors and their versions; no listing reads a file."""

from dataclasses import dataclass

from sqlalchemy import select

from app.errors import MissingBlobError
from app.storage import lineage
from app.storage.database import Database
from app.storage.detector_files import DetectorFiles
from app.storage.lineage import Image
from app.storage.tables import DETECTORS, VERSIONS
from app.storage.version_rows import Entry, Version, entry_of, find, joined, version_of
from detector.detector import Detector


@dataclass(frozen=True, slots=True)
class Stored:
    """A detector at one of its versions, and the rows that say so."""

    detector: Detector
    entry: Entry
    aside: str = ""
    """Of a version just made: why it does not serve, if another was put in service meanwhile."""


class VersionReader:
    """Every read sees what was committed last, by any process."""

    def __init__(self, database: Database, files: DetectorFiles) -> None:
        self._database = database
        self._files = files

    def all(self) -> list[Entry]:
        """Return every detector at its version in service, by name; no file is read."""
        chosen = joined(DETECTORS.c.in_service).order_by(DETECTORS.c.name)
        with self._database.read() as connection:
            return [entry_of(row) for row in connection.execute(chosen)]

    def entry(self, name: str, version: int | None = None) -> Entry:
        """Return a detector's row and one of its versions', by default that in service.

        Raises:
            UnknownDetectorError, UnknownVersionError
        """
        with self._database.read() as connection:
            return find(connection, name, version)

    def get(self, name: str, version: int | None = None) -> Stored:
        """Return a detector at one of its versions, by default that in service.

        Raises:
            UnknownDetectorError, UnknownVersionError
            ArtefactError, MissingBlobError: if its file is damaged or missing.
        """
        entry = self.entry(name, version)
        try:
            return self._stored(entry)
        except MissingBlobError:
            self.entry(name, version)  # deleted meanwhile: say so
            raise

    def versions(self, name: str) -> list[Version]:
        """Return all versions of a detector, oldest first. Raises UnknownDetectorError."""
        with self._database.read() as connection:
            known = find(connection, name).id
            chosen = select(VERSIONS).where(VERSIONS.c.detector_id == known)
            rows = connection.execute(chosen.order_by(VERSIONS.c.version))
            return [version_of(row) for row in rows]

    def images(self, entry: Entry) -> list[Image]:
        """Return the images that a version was fitted to."""
        with self._database.read() as connection:
            return lineage.fitted(connection, entry.id, entry.version.version)

    def calibration_images(self, entry: Entry) -> list[Image]:
        """Return the normal images of a version's latest calibration."""
        with self._database.read() as connection:
            return lineage.calibrated(connection, entry.id, entry.version.version)

    def known_anomalies(self, entry: Entry) -> list[Image]:
        """Return the known anomalies of a version's latest calibration."""
        with self._database.read() as connection:
            return lineage.anomalous(connection, entry.id, entry.version.version)

    def _stored(self, entry: Entry) -> Stored:
        return Stored(self._files.read(entry.version.files, entry.version.version), entry)
