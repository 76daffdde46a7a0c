"""One sample that has not been read yet: a name and a way to read the bytes, wherever they are.

Bytes are read when they are needed, not before, so that a large upload need not fit in memory.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from app.errors import UndecodableImageError
from detector.errors import SampleError


@dataclass(frozen=True, slots=True)
class Source:
    """One sample that has not been read yet; it can be read more than once."""

    name: str
    read: Callable[[], Awaitable[bytes]]


def from_bytes(name: str, content: bytes) -> Source:
    """Return bytes at hand as a source."""

    async def read() -> bytes:
        return content

    return Source(name, read)


def from_error(name: str, error: SampleError) -> Source:
    """Return an image that is known not to be readable as a source, which says so when read."""

    async def read() -> bytes:
        raise error

    return Source(name, read)


def from_path(path: Path) -> Source:
    """Return a file as a source."""

    async def read() -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise UndecodableImageError(f"the file cannot be read: {error.strerror}") from error

    return Source(str(path), read)
