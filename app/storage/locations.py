"""Where blobs are kept: a directory, or a bucket behind an S3 API."""

from pathlib import Path

from app.errors import StorageError
from app.storage.blobs import Blobs
from app.storage.directories import DirectoryBlobs


def blobs_at(location: str | Path) -> Blobs:
    """Return the blobs in a directory (a path) or in a bucket (``s3://BUCKET/FOLDER``).

    Raises:
        StorageError: if the location is of another kind, or the extra for buckets is missing.
    """
    if not isinstance(location, str) or "://" not in location:
        return DirectoryBlobs(Path(location))
    scheme, _, address = location.partition("://")
    if scheme != "s3":
        raise StorageError(
            f"blobs cannot be kept at {scheme}://...: give a directory or s3://BUCKET/FOLDER"
        )
    try:
        from app.storage.buckets import BucketBlobs
    except ModuleNotFoundError as error:
        raise StorageError(
            f"{location} needs the package {error.name}: pip install 'gatewatch[cluster]'"
        ) from error
    bucket, _, folder = address.partition("/")
    return BucketBlobs(bucket, folder.strip("/"))
