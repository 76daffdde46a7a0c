"""Blobs in an S3-compatible bucket; needs the extra ``cluster``.

Where and who come from the environment, under the names that all S3 clients read:
``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL`` (unset: Amazon's), ``AWS_REGION``, and
``AWS_ACCESS_KEY_ID`` with ``AWS_SECRET_ACCESS_KEY`` and ``AWS_SESSION_TOKEN``; without keys, the
role of the container, the web identity or the instance. ``AWS_DISABLE_BULK_DELETE=true`` is for
servers that delete one object at a time only.

A put is atomic at the server. Parts of an upload that was killed are invisible, but are kept and
paid for: give the bucket a lifecycle rule that aborts incomplete uploads.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from app.errors import StorageError, StorageUnavailableError
from app.storage.blobs import Blob, Blobs, check, missing

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_CHUNK_BYTES = 4 * 1024**2
# A dead server is given up within half a minute; a slow transfer goes on while bytes come.
_RETRIES = 4
_RETRY_S = 20
_CONNECT_S = 3
_SILENCE_S = 30
_TRANSFER_S = 3600


class BucketBlobs(Blobs):
    """An object per blob, named ``FOLDER/NAME``."""

    def __init__(self, bucket: str, folder: str = "") -> None:
        self._bucket = bucket
        self._store = store_of(bucket, folder)

    def put(self, name: str, content: bytes) -> None:
        """Upload, in parts where it is large."""
        with self._reached(check(name)):
            obstore.put(self._store, name, content)

    def put_file(self, name: str, path: Path) -> None:
        """Upload piece by piece, then remove the file."""
        check(name)
        path.stat()  # that there is none is the caller's mistake, not the store's
        with self._reached(name):
            obstore.put(self._store, name, path)
        path.unlink()

    def get(self, name: str) -> bytes:
        """Download."""
        with self._reached(check(name), read=True):
            return bytes(obstore.get(self._store, name).bytes())

    @contextlib.contextmanager
    def open_local(self, name: str) -> Iterator[Path]:
        """Download to a temporary file (in ``TMPDIR``), removed in the end."""
        check(name)
        with tempfile.TemporaryDirectory(prefix="gatewatch-") as directory:
            path = Path(directory, name.rpartition("/")[2])
            with self._reached(name, read=True), path.open("wb") as file:
                for chunk in obstore.get(self._store, name).stream(min_chunk_size=_CHUNK_BYTES):
                    file.write(chunk)
            yield path

    def listing(self, folder: str = "") -> list[Blob]:
        """Ask for all pages."""
        prefix = check(folder) if folder else None
        with self._reached(folder):
            found = [
                Blob(entry["path"], entry["size"], entry["last_modified"])
                for page in obstore.list(self._store, prefix, chunk_size=1000)
                for entry in page
            ]
        return sorted(found, key=lambda blob: blob.name)

    def delete(self, name: str) -> None:
        """Delete the object; the server answers alike where there is none."""
        with self._reached(check(name)):
            obstore.delete(self._store, name)

    def delete_all(self, folder: str) -> None:
        """Delete the objects, a thousand in one request."""
        names = self.names(check(folder))
        with self._reached(folder):
            obstore.delete(self._store, names)

    @contextlib.contextmanager
    def _reached(self, name: str, *, read: bool = False) -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except (BaseError, OSError) as error:
            if read and is_missing(error):
                raise missing(name) from None
            raise failing(error, self._bucket, name) from None


def store_of(bucket: str, folder: str = "") -> S3Store:
    """Return the client of a bucket, of what lies below a folder; nothing is asked yet.

    Raises:
        StorageError: if there can be no such bucket or folder, or the environment is wrong.
    """
    if not _BUCKET.fullmatch(bucket):
        raise StorageError(f"{bucket!r} is not the name of a bucket: give s3://BUCKET/FOLDER")
    try:
        folder = check(folder) if folder else ""
    except ValueError as error:
        raise StorageError(f"{folder!r} cannot be a folder of a bucket") from error
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    try:
        return S3Store(
            bucket,
            prefix=folder or None,
            client_options={
                "allow_http": endpoint.startswith("http://"),
                "connect_timeout": timedelta(seconds=_CONNECT_S),
                "read_timeout": timedelta(seconds=_SILENCE_S),
                "timeout": timedelta(seconds=_TRANSFER_S),
            },
            retry_config={
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=_RETRY_S),
            },
        )
    except (BaseError, ValueError):
        # The cause would quote the settings.
        raise StorageError(
            f"the bucket {bucket!r} cannot be used: check the AWS_* variables"
        ) from None


def is_missing(error: Exception) -> bool:
    """Whether a client's error says that there is no such object in a bucket that is there."""
    return isinstance(error, FileNotFoundError) and _code(error) != "NoSuchBucket"


def failing(error: Exception, bucket: str, name: str) -> StorageUnavailableError:
    """Return a client's error as ours.

    Its text quotes the server's answer, which may hold a session token: only its code is passed
    on, and the cause should be left out of the log.
    """
    code = _code(error)
    reason = f"answers {code}" if code else "gives no answer"
    if isinstance(error, OSError) and error.strerror:
        reason = f"was not asked: {error.strerror}"  # a file on this machine
    return StorageUnavailableError(f"the store fails at {name!r}: the bucket {bucket!r} {reason}")


def _code(error: Exception) -> str:
    text = str(error)
    found = re.search(r"<Code>(\w+)<", text) or re.search(r"status code: (\d{3})", text)
    return found[1] if found else ""
