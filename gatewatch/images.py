"""Images as they are handed to the client: paths, bytes, open files, arrays, pictures of Pillow.

Nothing is read before it is sent, and files are sent in pieces, so that a folder need not fit in
memory. NumPy and Pillow are imported only where they are needed.
"""

import errno
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

PIECE_BYTES = 256 * 1024
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
ARCHIVES = {
    ".zip": "application/zip",
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".gz": "application/gzip",
}
CHANNELS = (1, 3, 4)
"""Lengths of an array's last axis that make it one picture and no pile of grey ones."""
CLUTTER = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db"})
UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no line of text holds: controls, and bytes of a file's name that are no UTF-8."""

Path_ = str | os.PathLike[str]
Image = Any
"""A path; the bytes of an image file; a binary file open for reading; a NumPy array, uint8 (h, w)
or (h, w, 3); a picture of Pillow; or a pair of a name and one of these."""
Images = Path_ | Iterable[Image]
"""A folder, an archive (zip, tar) or an image file by its path; or images."""


@dataclass(frozen=True)
class Piece:
    """One file to be sent.

    Attributes:
        name: As the server shall know it; empty if nobody gave one.
        size: In bytes, if it is known before it is read.
        pieces: Reads it, from its beginning each time.
        again: Whether it can be read more than once.
    """

    name: str
    size: int | None
    pieces: Callable[[], Iterator[bytes]]
    again: bool = True


def piece(image: Image) -> Piece:
    """Return an image as a file to be sent.

    Raises:
        TypeError: if it is none of the kinds that ``Image`` names.
        OSError: if there is no such file.
    """
    if isinstance(image, tuple):
        name, inner = image
        made = piece(inner)
        return Piece(str(name), made.size, made.pieces, made.again)
    if isinstance(image, str | os.PathLike):
        return of_path(Path(image), Path(image).name)
    if isinstance(image, bytes | bytearray | memoryview):
        content = bytes(image)
        return Piece("", len(content), lambda: iter((content,)))
    if hasattr(image, "read"):
        return _of_file(image)
    if hasattr(image, "__array_interface__") or hasattr(image, "save"):
        return Piece("", None, lambda: iter((_png(image),)))
    raise TypeError(
        f"{type(image).__name__} is no image: give a path, bytes, an open file, a NumPy array, a "
        "picture of Pillow, or (name, one of these)"
    )


def of_path(path: Path, name: str) -> Piece:
    """Return a file of this machine, under a name.

    Raises:
        OSError: if there is no such file.
    """
    size = path.stat().st_size

    def pieces() -> Iterator[bytes]:
        left = size
        with path.open("rb") as file:
            while content := _read(file, path):
                left -= len(content)
                if left < 0:
                    break
                yield content
        if left:
            raise OSError(errno.ESTALE, "it was changed while it was sent", str(path))

    return Piece(name, size, pieces)


def sendable(name: str) -> str:
    """Return a name as it is sent and printed: in UTF-8 and one line, other bytes as ``%0A``."""
    return UNSENDABLE.sub(lambda found: f"%{ord(found[0]) & 0xFF:02X}", name)


def walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the image files below a folder with their paths relative to it, sorted.

    Other files, the clutter of desktops and links to folders are passed over, as the server does
    with a folder of its own.

    Raises:
        NotADirectoryError: if it is no folder.
    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder")
    found = []
    for top, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in CLUTTER]
        for name in files:
            hidden = name in CLUTTER or name.startswith("._")
            if not hidden and Path(name).suffix.lower() in SUFFIXES:
                path = Path(top, name)
                found.append((str(PurePosixPath(path.relative_to(folder))), path))
    yield from sorted(found, key=lambda pair: pair[0].split("/"))


def archive_type(images: Any) -> str | None:
    """Return the media type of an archive, if this is the path of one."""
    if not isinstance(images, str | os.PathLike) or Path(images).is_dir():
        return None
    return ARCHIVES.get(Path(images).suffix.lower())


def given(images: Images) -> bool:
    """Whether images were given at all, where the default is an empty tuple.

    An array is not compared with it: that would be done number by number.
    """
    return not (isinstance(images, tuple) and not images)


def listed(images: Images) -> Iterator[Piece]:
    """Yield the files of a folder, or of a number of images.

    Raises:
        OSError: if there is no such file or folder.
        TypeError: if it is one image and no number of them.
        ValueError: if a folder has no images.
    """
    if not isinstance(images, str | os.PathLike):
        if _is_one(images):
            raise TypeError("one image was given where many are taken: put it into a list")
        yield from map(piece, images)
        return
    path = Path(images)
    if not path.is_dir():
        yield piece(path)
        return
    empty = True
    for name, file in walk(path):
        empty = False
        yield of_path(file, name)
    if empty:
        raise ValueError(f"no image below {path}; looked for {', '.join(sorted(SUFFIXES))}")


def _is_one(images: Any) -> bool:
    """Whether this is one image: bytes, a file, a picture, or an array (h, w) or (h, w, 3)."""
    if isinstance(images, bytes | bytearray | memoryview):
        return True
    if hasattr(images, "read") or hasattr(images, "save"):
        return True
    if not hasattr(images, "__array_interface__"):
        return False
    shape = images.__array_interface__["shape"]
    return len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS)


def _read(file: BinaryIO, path: Path) -> bytes:
    try:
        return file.read(PIECE_BYTES)
    except OSError as error:  # which names a file that cannot be opened, but not one that breaks
        error.filename = str(path)
        raise


def _of_file(file: BinaryIO) -> Piece:
    again = file.seekable()
    start = file.tell() if again else 0
    name = getattr(file, "name", "")

    def pieces() -> Iterator[bytes]:
        if again:
            file.seek(start)
        while content := file.read(PIECE_BYTES):
            yield content

    return Piece(Path(name).name if isinstance(name, str) else "", None, pieces, again)


def _png(image: Any) -> bytes:
    """Return an array or a picture as a PNG file."""
    try:
        from PIL import Image as Pillow
    except ImportError as error:
        raise ImportError("arrays are sent as PNG by Pillow: pip install pillow") from error
    picture = image if hasattr(image, "save") else Pillow.fromarray(image)
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
