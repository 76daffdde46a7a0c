"""Bytes by name, written whole or not at all, in a directory or in a bucket.

A blob is written once under a name of its own and never changed, so readers need no lock and a
name is a key that a cache may keep. What is put is there after a crash; what was being put when
the process died was never visible.
"""

import re
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.errors import MissingBlobError

# Every part begins with a letter, a digit or "_": there is no "..", and what begins with a dot is
# the store's own. 128 bytes a part and 512 in all fit file systems and keys (1,024) alike.
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_LONGEST = 512


@dataclass(frozen=True, slots=True)
class Blob:
    """What a listing tells: the name, the size in bytes, and when it was put (UTC)."""

    name: str
    size: int
    put_at: datetime


class Blobs(ABC):
    """Bytes by name; parts of a name are separated by ``/``, and no name is inside another.

    A folder is all names that begin with it and ``/``; ``""`` is the folder of everything.

    Every method raises ValueError for a name that is none (names are the program's, never a
    client's) and StorageUnavailableError when the store cannot be reached or is full.
    """

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Keep these bytes; they are durable when this returns."""

    @abstractmethod
    def put_file(self, name: str, path: Path) -> None:
        """Keep a file, however large, and take it: ``path`` is gone when this returns.

        It stays where it is when this raises.
        """

    @abstractmethod
    def get(self, name: str) -> bytes:
        """Return the bytes.

        Raises:
            MissingBlobError: if there is no such blob.
        """

    @abstractmethod
    def open_local(self, name: str) -> AbstractContextManager[Path]:
        """Give the blob as a file to be read, not to be changed, inside the ``with``.

        Raises:
            MissingBlobError: if there is no such blob.
        """

    @abstractmethod
    def listing(self, folder: str = "") -> list[Blob]:
        """Return what is in a folder, in order of name."""

    def names(self, folder: str = "") -> list[str]:
        """Return the names in a folder, in order."""
        return [blob.name for blob in self.listing(folder)]

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove a blob; nothing happens if there is none."""

    @abstractmethod
    def delete_all(self, folder: str) -> None:
        """Remove a folder with all that is in it; nothing happens if there is none."""


def check(name: str) -> str:
    """Return a blob's name.

    Raises:
        ValueError: if it is none, or could lead out of the store.
    """
    parts = name.split("/")
    if len(name) > _LONGEST or not all(PART.fullmatch(part) for part in parts):
        raise ValueError(f"{name!r} is not the name of a blob")
    return name


def missing(name: str) -> MissingBlobError:
    """Return the error that says that there is no such blob."""
    return MissingBlobError(f"there is no blob {name}: it was deleted, or this is another store")
