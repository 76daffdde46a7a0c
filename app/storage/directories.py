"""Blobs in a directory: a file each, that several processes may share."""

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from app.errors import StorageUnavailableError
from app.storage.blobs import PART, Blob, Blobs, check, missing

_PARTIAL = ".partial"  # no name of a blob begins with a dot
_ABANDONED_S = 24 * 3600.0
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class DirectoryBlobs(Blobs):
    """A file per blob, under its name.

    A file is written in a folder of its own, synced, and renamed to its name. What a killed process
    left there is removed at the next start, a day later: others may be writing now.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._partial = self._directory / _PARTIAL
        with _reached(str(directory)):
            self._partial.mkdir(parents=True, exist_ok=True)
            for path in self._partial.iterdir():
                with contextlib.suppress(FileNotFoundError):  # another process is as tidy
                    if path.stat().st_mtime < time.time() - _ABANDONED_S:
                        path.unlink()

    def put(self, name: str, content: bytes) -> None:
        """Write, sync, rename."""
        target = self._path(name)
        with self._writing(name) as partial:
            partial.write_bytes(content)
            self._settle(partial, target)

    def put_file(self, name: str, path: Path) -> None:
        """Rename the file, or copy it first where it lies on another file system."""
        target = self._path(name)
        path.stat()  # that there is none is the caller's mistake, not the store's
        with self._writing(name) as partial:
            # A second name rather than a move: the caller keeps the file if anything fails.
            try:
                os.link(path, partial)
            except OSError:
                shutil.copyfile(path, partial)
            os.utime(partial)  # it is put now, however old its content
            self._settle(partial, target)
            path.unlink()

    def get(self, name: str) -> bytes:
        """Read the file."""
        with _reached(name):
            try:
                return self._path(name).read_bytes()
            except _NO_FILE as error:
                raise missing(name) from error

    @contextlib.contextmanager
    def open_local(self, name: str) -> Iterator[Path]:
        """Give the file itself."""
        path = self._path(name)
        if not path.is_file():
            raise missing(name)
        yield path

    def listing(self, folder: str = "") -> list[Blob]:
        """Walk the folder."""
        found = []
        with _reached(folder):
            for where, folders, files in os.walk(self._folder(folder), onerror=_unless_gone):
                folders[:] = [name for name in folders if PART.fullmatch(name)]
                for path in (Path(where, name) for name in files if PART.fullmatch(name)):
                    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                        status = path.stat()
                        name = path.relative_to(self._directory).as_posix()
                        put_at = datetime.fromtimestamp(status.st_mtime, UTC)
                        found.append(Blob(name, status.st_size, put_at))
        return sorted(found, key=lambda blob: blob.name)

    def delete(self, name: str) -> None:
        """Remove the file; unsynced, for one that comes back after a crash is only a leftover."""
        with _reached(name), contextlib.suppress(*_NO_FILE):
            self._path(name).unlink()

    def delete_all(self, folder: str) -> None:
        """Remove the files, then the folders that are empty."""
        for name in self.names(check(folder)):
            self.delete(name)
        for where, _, _ in os.walk(self._path(folder), topdown=False):
            with contextlib.suppress(OSError):  # somebody put a blob there meanwhile
                os.rmdir(where)

    def _path(self, name: str) -> Path:
        return self._directory / check(name)

    def _folder(self, folder: str) -> Path:
        return self._path(folder) if folder else self._directory

    @contextlib.contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        """Give a file that nobody sees, which is gone in the end if it was not renamed."""
        partial = self._partial / uuid.uuid4().hex
        with _reached(name):
            try:
                yield partial
            finally:
                partial.unlink(missing_ok=True)

    def _settle(self, partial: Path, target: Path) -> None:
        _sync(partial)
        while True:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial, target)
                break
            except FileNotFoundError:
                if not partial.exists():
                    raise  # else the folder was removed just after it was made: make it again
        folder = target.parent
        while folder != self._directory.parent:  # the folders made for it must survive, too
            _sync(folder)
            folder = folder.parent


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


@contextlib.contextmanager
def _reached(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageUnavailableError(f"the store fails at {what!r}: {error.strerror}") from error
