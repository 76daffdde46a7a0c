"""State that survives a restart: a database row and a file per detector.

The file of a new version is written first, then the row is changed in one transaction: a crash in
between leaves the old version in service, and a file that is never read, for no row names it.
SQLite in WAL mode; several processes may share the directory.
"""

import contextlib
import fcntl
import threading
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    create_engine,
    delete,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from app.errors import ConflictError, DetectorExistsError, UnknownDetectorError
from detector.artefact import load_detector, save_detector
from detector.detector import Detector
from detector.errors import ArtefactError

_METADATA = MetaData()
_DETECTORS = Table(
    "detectors",
    _METADATA,
    Column("name", String(63), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("file", String(120), nullable=False),
    Column("created_at", DateTime, nullable=False),
    Column("updated_at", DateTime, nullable=False),
)
CACHED_DETECTORS = 16


@dataclass(frozen=True, slots=True)
class Stored:
    """A detector with the times, in UTC, of its first and latest version."""

    detector: Detector
    created_at: datetime
    updated_at: datetime


class Storage:
    """Detectors under a directory; every read sees the version committed last, by any process."""

    def __init__(self, directory: Path) -> None:
        self._files = directory / "detectors"
        self._files.mkdir(parents=True, exist_ok=True)
        self._engine = _engine(directory / "gatewatch.sqlite")
        with (directory / "setup.lock").open("w") as lock:
            # One process at a time: where two set up a database, SQLite fails one of them.
            fcntl.flock(lock, fcntl.LOCK_EX)
            _METADATA.create_all(self._engine)
        # A file never changes once named, so its name is the key of the cache.
        self._cache: OrderedDict[str, Detector] = OrderedDict()
        self._cache_lock = threading.Lock()

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()

    def names(self) -> list[str]:
        """Return all names, sorted."""
        with self._engine.connect() as connection:
            return list(connection.scalars(select(_DETECTORS.c.name).order_by(_DETECTORS.c.name)))

    def get(self, name: str) -> Stored:
        """Return the version in service.

        Raises:
            UnknownDetectorError: if there is none of this name.
            ArtefactError: if its file is missing or damaged.
        """
        row = self._row(name)
        while True:
            try:
                detector = self._load(row.file)
            except ArtefactError:
                newer = self._row(name)
                if newer.file == row.file:
                    raise
                row = newer  # the file was removed because another took its place meanwhile
            else:
                return Stored(detector, _utc(row.created_at), _utc(row.updated_at))

    def create(self, detector: Detector) -> Stored:
        """Keep a new detector.

        Raises:
            DetectorExistsError: if there is one of this name.
        """
        name, file, now = detector.spec.name, self._write(detector), _now()
        row = {"name": name, "version": detector.version, "file": file}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(_DETECTORS).values(created_at=now, updated_at=now, **row))
        except IntegrityError as error:
            self._remove(file)
            raise DetectorExistsError(f"a detector {name!r} exists already") from error
        return self.get(name)

    def put(self, old: Detector, new: Detector) -> Stored:
        """Put a new version in service in place of the one it was made from.

        Raises:
            ConflictError: if another version was put in service meanwhile, or it was deleted.
        """
        name, file = new.spec.name, self._write(new)
        this = (_DETECTORS.c.name == name) & (_DETECTORS.c.version == old.version)
        with self._engine.begin() as connection:
            old_file = connection.scalar(select(_DETECTORS.c.file).where(this))
            changed = connection.execute(
                update(_DETECTORS)
                .where(this)
                .values(version=new.version, file=file, updated_at=_now())
            )
        if changed.rowcount != 1:
            self._remove(file)
            raise ConflictError(f"detector {name!r} was changed meanwhile: nothing done, repeat")
        assert old_file is not None  # the row was there, for it was changed
        self._remove(old_file)
        self._keep(file, new)
        return self.get(name)

    def delete(self, name: str) -> None:
        """Forget a detector.

        Raises:
            UnknownDetectorError: if there is none of this name.
        """
        this = _DETECTORS.c.name == name
        with self._engine.begin() as connection:
            file = connection.scalar(delete(_DETECTORS).where(this).returning(_DETECTORS.c.file))
        if file is None:
            raise UnknownDetectorError(f"no detector {name!r}")
        self._remove(file)

    def _row(self, name: str) -> Row[Any]:
        with self._engine.connect() as connection:
            row = connection.execute(select(_DETECTORS).where(_DETECTORS.c.name == name)).first()
        if row is None:
            raise UnknownDetectorError(f"no detector {name!r}; POST /v1/detectors creates one")
        return row

    def _load(self, file: str) -> Detector:
        with self._cache_lock:
            known = self._cache.get(file)
        return self._keep(file, known or load_detector(self._files / file))

    def _keep(self, file: str, detector: Detector) -> Detector:
        with self._cache_lock:
            self._cache[file] = detector
            self._cache.move_to_end(file)
            while len(self._cache) > CACHED_DETECTORS:
                self._cache.popitem(last=False)
        return detector

    def _write(self, detector: Detector) -> str:
        spec = detector.spec
        file = f"{spec.name}-{detector.version:06d}-{uuid.uuid4().hex[:12]}.safetensors"
        save_detector(detector, self._files / file)
        return file

    def _remove(self, file: str) -> None:
        # A reader in another process may hold the file open; a leftover does no harm.
        with self._cache_lock:
            self._cache.pop(file, None)
        with contextlib.suppress(OSError):
            (self._files / file).unlink()


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")  # an acknowledged change survives power loss

    return engine


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
