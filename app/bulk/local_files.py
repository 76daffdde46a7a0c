"""Files of this machine, and whose fault it is that one cannot be read: its own, or the disk's.

A file that is missing from a folder that is there, or that may not be read, is left out. Anything
else (a disk that fails, a share that has gone) ends the run as a bucket that fails does, to be gone
on with: no image is left out for it.
"""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.bulk.errors import UnreadableSourceError
from app.bulk.sources import How, check_size
from app.errors import StorageUnavailableError, UndecodableImageError

_ITS_OWN = {errno.EACCES, errno.EISDIR}


def state(path: str) -> str | None:
    """Return the size and time of a file; None if there is no plain file, as behind a dead link.

    Raises:
        UnreadableSourceError: if that cannot be told.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableSourceError(f"{path} cannot be read: {error.strerror}") from error
    return f"{found.st_size} {found.st_mtime_ns}" if os.path.isfile(path) else None


def read(path: str, how: How) -> bytes:
    """Return an image.

    Raises:
        UndecodableImageError: if it cannot be read, or has too many bytes.
        StorageUnavailableError: if what it lies on fails.
    """
    with _whose_fault(path), open(path, "rb") as file:
        check_size(os.fstat(file.fileno()).st_size, how)
        return file.read()


def opened(path: str) -> io.BufferedReader:
    """Return a file to be read.

    Raises:
        UnreadableSourceError: if it cannot be opened.
        StorageUnavailableError: if what it lies on fails; reading raises it, too.
    """
    try:
        with _whose_fault(path):
            return io.BufferedReader(_File(path))
    except UndecodableImageError as error:
        raise UnreadableSourceError(f"{path}: {error}") from error


class _File(io.FileIO):
    """A file whose failures are told from damage in it, which readers of tar files look for."""

    def readinto(self, buffer: Any, /) -> int | None:
        with _whose_fault(str(self.name)):
            return super().readinto(buffer)


@contextmanager
def _whose_fault(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        is_gone = error.errno == errno.ENOENT and _holds_something(Path(path).parent)
        if is_gone or error.errno in _ITS_OWN:
            raise UndecodableImageError(f"the file cannot be read: {error.strerror}") from error
        raise StorageUnavailableError(f"{path} cannot be read: {error.strerror}") from error


def _holds_something(folder: Path) -> bool:
    """Whether a folder is there and not empty, as one is where nothing is mounted any more."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False
