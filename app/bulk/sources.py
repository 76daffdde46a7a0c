"""What a source of images may be: a folder, an image, a tar or Parquet file, a bucket of these."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

from app.bulk.fragments import Item
from app.errors import UndecodableImageError
from app.images.sources import SUFFIXES
from detector.errors import SampleError

TARS = (".tar", ".tar.gz", ".tgz")
TABLES = (".parquet",)
BUCKETS = "s3://"
LOOKED_FOR = ", ".join([*sorted(SUFFIXES), *TARS, *TABLES])


@dataclass(frozen=True, slots=True)
class How:
    """How the images of sources are read; the same for all processes.

    Attributes:
        image_column: of Parquet files; empty for the only one that can be.
        group_pattern: regular expression whose first group, found in an image's name, is its
            group; wins over the group that its file tells.
        image_bytes: most bytes of one image.
        ratio: how many times its own size a packed tar file may unpack to.
    """

    image_column: str = ""
    group_pattern: str = ""
    image_bytes: int = 256 * 1024**2
    ratio: int = 200


def is_image(name: str) -> bool:
    """Whether a file is an image, by its suffix."""
    return PurePath(name).suffix.lower() in SUFFIXES


def is_tar(name: str) -> bool:
    """Whether a file is a tar file, by its suffix."""
    return name.lower().endswith(TARS)


def is_table(name: str) -> bool:
    """Whether a file is a Parquet file, by its suffix."""
    return name.lower().endswith(TABLES)


def check_size(size: int, how: How) -> None:
    """Refuse an image of too many bytes, wherever it lies.

    Raises:
        UndecodableImageError: if it has more than one may have.
    """
    if size > how.image_bytes:
        raise UndecodableImageError(
            f"the image has {size} bytes, more than {how.image_bytes} (max_image_bytes)"
        )


def refused(name: str, why: str, *, is_rest: bool = False) -> Item:
    """Return an image that is known not to be readable, which says so when it is read."""
    return Item(name, "", _raising(UndecodableImageError(why)), is_rest)


def _raising(error: SampleError) -> Callable[[], bytes]:
    def read() -> bytes:
        raise error

    return read
