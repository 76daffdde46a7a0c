"""State that survives a restart: a database of rows, and blobs that the rows name."""

from dataclasses import dataclass
from pathlib import Path

from app.storage.audit import Audit
from app.storage.blobs import Blobs
from app.storage.data_dir import require_data_dir
from app.storage.database import Database, open_database
from app.storage.detector_files import CACHED, DetectorFiles
from app.storage.jobs import Jobs
from app.storage.keys import Keys
from app.storage.locations import blobs_at
from app.storage.versions import Versions


@dataclass(frozen=True, slots=True)
class Storage:
    """Everything that is stored, by kind."""

    database: Database
    blobs: Blobs
    versions: Versions
    jobs: Jobs
    keys: Keys
    audit: Audit

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        database: str | None = None,
        bucket: str | None = None,
        cached: int = CACHED,
    ) -> "Storage":
        """Open what is stored in a directory, or in a database and a bucket given by URL.

        So many detectors stay in memory once they are read.

        Raises:
            StorageError: if the directory or a URL cannot be used, or the database is of another
                version.
            StorageUnavailableError: if one of them cannot be reached.
        """
        require_data_dir(directory)
        opened = open_database(database, directory)
        blobs = blobs_at(bucket or directory / "blobs")
        return cls(
            opened,
            blobs,
            Versions(opened, DetectorFiles(blobs, cached)),
            Jobs(opened),
            Keys(opened),
            Audit(opened),
        )

    def close(self) -> None:
        """Release the database."""
        self.database.close()
