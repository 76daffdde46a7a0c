"""Reading detectors and their versions; no listing reads a file."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from app.errors import MissingBlobError
from app.storage import lineage
from app.storage.cache import Cache
from app.storage.database import Database
from app.storage.detector_files import DetectorFiles
from app.storage.lineage import Image
from app.storage.tables import DETECTORS, VERSIONS
from app.storage.version_rows import Entry, Version, entry_of, find, joined, made_by, version_of
from detector.detector import Detector
from detector.spec import Spec

FRESH_S = 0.5
"""How long what was read serves those who score, if this process changes nothing meanwhile."""
AGES_S = 0.4
"""After how long it is worth reading again, before anybody has to wait for it."""
MOST_RECENT = 4096
_IN_SERVICE = joined(DETECTORS.c.in_service).where(
    DETECTORS.c.name.in_(bindparam("names", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A detector at one of its versions, and the rows that say so."""

    detector: Detector
    entry: Entry
    aside: str = ""
    """Of a version just made: why it does not serve, if another was put in service meanwhile."""


@dataclass(frozen=True, slots=True)
class _Read:
    """An entry, when it was read, and after how many changes of detectors by this process."""

    entry: Entry
    at_s: float
    changes: int


class VersionReader:
    """Every read sees what was committed last, by any process; ``recent`` what was, lately."""

    def __init__(self, database: Database, files: DetectorFiles) -> None:
        self._database = database
        self._files = files
        self._recent: Cache[_Read] = Cache(MOST_RECENT)

    def all(self) -> list[Entry]:
        """Return every detector at its version in service, by name; no file is read."""
        chosen = joined(DETECTORS.c.in_service).order_by(DETECTORS.c.name)
        with self._database.read() as connection:
            return [entry_of(row) for row in connection.execute(chosen)]

    def made_by(self, entry: Entry, run: str) -> Stored | None:
        """Return the version of a detector that a run has made, if it has."""
        with self._database.read() as connection:
            version = made_by(connection, entry.id, run)
        return None if version is None else self.get(entry.name, version)

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
        at_s, changes = time.monotonic(), self.changes
        entry = self.entry(name, version)
        try:
            stored = self._stored(entry)
        except MissingBlobError:
            again = self.entry(name, version)  # deleted meanwhile: say so
            if again.version.files == entry.version.files:
                raise
            entry, stored = again, self._stored(again)  # another one was put in service
        self._recent.keep(_key(name, version), _Read(entry, at_s, changes))
        return stored

    def decided(self, entry: Entry) -> Stored:
        """Return a version with calibration and line alone, whose file is small.

        Raises:
            as ``get``.
        """
        kept = entry.version
        unfitted = Detector(Spec.of(kept.summary["spec"]))
        return Stored(self._files.decided(unfitted, kept.files, kept.version), entry)

    def recent(self, name: str, version: int | None = None) -> Stored | None:
        """Return what ``get`` would have returned a moment ago, if it is in memory.

        It is as old as ``FRESH_S`` at most, and no older than the last change of a detector by
        this process.
        """
        read = self._recent.get(_key(name, version))
        if read is None or not self._serves(read, FRESH_S):
            return None
        kept = read.entry.version
        detector = self._files.at_hand(kept.files, kept.version)
        return None if detector is None else Stored(detector, read.entry)

    @property
    def changes(self) -> int:
        """How often this process has changed detectors."""
        return self._database.detector_writes

    def ages(self, name: str, version: int | None = None, after_s: float = AGES_S) -> bool:
        """Return whether ``recent`` will soon give nothing, or does already."""
        read = self._recent.get(_key(name, version))
        return read is None or not self._serves(read, after_s)

    def refresh(self, names: Sequence[str]) -> None:
        """Read what is in service of many detectors at once, for ``recent``."""
        at_s, changes = time.monotonic(), self.changes
        with self._database.read() as connection:
            for row in connection.execute(_IN_SERVICE, {"names": list(names)}):
                self._recent.keep(_key(row.name, None), _Read(entry_of(row), at_s, changes))

    def _serves(self, read: _Read, for_s: float) -> bool:
        """Return whether it was read within so many seconds, and nothing was changed since."""
        is_last = read.changes == self.changes
        return is_last and time.monotonic() - read.at_s < for_s

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


def _key(name: str, version: int | None) -> str:
    return f"{version}@{name}"
