"""Images in an S3-compatible bucket: listed, read one by one, and large files read in ranges.

A large file is asked for piece by piece, each a request that is repeated when it fails, so that no
connection stands idle while images are embedded, and never more than a piece is in memory. Needs
the extra ``cluster``; ``app.storage.buckets`` says where keys and endpoint come from.
"""

import io
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from app.bulk import local_files
from app.bulk.errors import UnreadableSourceError
from app.bulk.sources import BUCKETS, How, check_size
from app.errors import UndecodableImageError

PIECE_BYTES = 8 * 1024**2


@lru_cache(maxsize=64)
def _store(bucket: str) -> Any:
    try:
        from app.storage.buckets import store_of
    except ImportError as error:
        raise UnreadableSourceError(
            "images in a bucket need the extra [cluster]: pip install 'gatewatch[cluster]'"
        ) from error
    return store_of(bucket)


def split(url: str) -> tuple[str, str]:
    """Return the bucket and the key or prefix that a URL names."""
    bucket, _, key = url.removeprefix(BUCKETS).partition("/")
    return bucket, key.strip("/")


def listed(url: str) -> Iterator[tuple[str, str]]:
    """Yield the URLs and states of all objects below a prefix, page by page, in no order.

    Raises:
        StorageError, StorageUnavailableError: if the bucket cannot be, or cannot be reached.
        UnreadableSourceError: without the extra.
    """
    bucket, prefix = split(url)
    store = _store(bucket)
    import obstore
    from obstore.exceptions import BaseError

    from app.storage.buckets import failing

    try:
        for page in obstore.list(store, prefix or None, chunk_size=1000):
            for entry in page:
                yield f"{BUCKETS}{bucket}/{entry['path']}", f"{entry['size']} {entry['e_tag']}"
    except (BaseError, OSError) as error:
        raise failing(error, bucket, prefix) from None


def read(url: str, how: How) -> bytes:
    """Return an image.

    Raises:
        UndecodableImageError: if there is none any more, or it has too many bytes.
        StorageUnavailableError: if the store cannot be reached.
    """
    bucket, key = split(url)
    store = _store(bucket)
    import obstore
    from obstore.exceptions import BaseError

    from app.storage.buckets import failing, is_missing

    try:
        found = obstore.get(store, key)
        check_size(found.meta["size"], how)
        return bytes(found.bytes())
    except (BaseError, OSError) as error:
        if is_missing(error):
            raise UndecodableImageError("the object is not there any more") from None
        raise failing(error, bucket, key) from None


class ObjectFile(io.RawIOBase):
    """An object as a file that is read in ranges, all of the same version of it.

    Raises:
        UnreadableSourceError: if there is no such object, or it is replaced meanwhile.
        StorageUnavailableError: if the store cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._bucket, self._key = split(url)
        self._store = _store(self._bucket)
        self._url, self._position = url, 0
        found = self._asked("head")
        self._size, self._tag = int(found["size"]), found["e_tag"]
        self.state = f"{self._size} {self._tag}"

    def readable(self) -> bool:
        """Return that it can be."""
        return True

    def seekable(self) -> bool:
        """Return that it can be."""
        return True

    def tell(self) -> int:
        """Return how far it is read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go somewhere."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = begin + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes; fewer only at the end."""
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        options: dict[str, Any] = {"range": (self._position, end)}
        if self._tag:
            options["if_match"] = self._tag
        content = bytes(self._asked("get", options=options).bytes())
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def _asked(self, method: str, **options: Any) -> Any:
        import obstore
        from obstore.exceptions import BaseError, PreconditionError

        from app.storage.buckets import failing, is_missing

        try:
            return getattr(obstore, method)(self._store, self._key, **options)
        except PreconditionError:
            raise UnreadableSourceError(
                f"{self._url} was replaced while it was read: begin anew"
            ) from None
        except (BaseError, OSError) as error:
            if is_missing(error):
                raise UnreadableSourceError(f"there is no object {self._url}") from None
            raise failing(error, self._bucket, self._key) from None


def opened(place: str) -> io.BufferedReader:
    """Return a file, here or in a bucket, to be read; it need not fit in memory.

    Raises:
        UnreadableSourceError: if it cannot be opened.
        StorageUnavailableError: if the store cannot be reached.
    """
    if place.startswith(BUCKETS):
        return io.BufferedReader(ObjectFile(place), PIECE_BYTES)
    return local_files.opened(place)
