"""Samples as they are handed to the client: paths, bytes, open files, arrays, JSON, pairs.

Nothing is read before it is sent, and files are sent in pieces, so that a folder need not fit in
memory. NumPy and Pillow are imported only where they are needed.
"""

import errno
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

PIECE_BYTES = 256 * 1024
ARCHIVES = {
    ".zip": "application/zip",
    ".tar": "application/x-tar",
    ".tgz": "application/gzip",
    ".gz": "application/gzip",
}
CHANNELS = (1, 3, 4)
"""Lengths of an array's last axis that make it one picture and no pile of grey ones."""
UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no line of text holds: controls, and bytes of a file's name that are no UTF-8."""

Path_ = str | os.PathLike[str]
Image = Any
"""One sample: a path; the bytes of a file; a binary file open for reading; of an image also a NumPy
array, uint8 (h, w) or (h, w, 3), or a picture of Pillow; of a kind whose samples are JSON also a
dict or a list; of an image with its text ``{"image": one of the former, "text": str}``; or a tuple
of a name and one of these."""
Images = Path_ | Iterable[Image]
"""A folder, an archive (zip, tar) or a file by its path; or samples."""


@dataclass(frozen=True)
class Piece:
    """One file to be sent.

    Attributes:
        name: As the server shall know it; empty if nobody gave one.
        size: In bytes, if it is known before it is read.
        pieces: Reads it, from its beginning each time.
        again: Whether it can be read more than once.
        text: That belongs to it, if it is half of a pair.
    """

    name: str
    size: int | None
    pieces: Callable[[], Iterator[bytes]]
    again: bool = True
    text: str | None = None


def piece(image: Image) -> Piece:
    """Return a sample as a file to be sent.

    Raises:
        TypeError: if it is none of what ``Image`` names.
        ValueError: if it has a number that JSON has not, such as NaN.
        OSError: if there is no such file.
    """
    if isinstance(image, Piece):
        return image
    if isinstance(image, tuple):
        name, inner = image
        return replace(piece(inner), name=str(name))
    if isinstance(image, dict) and image.keys() == {"image", "text"}:
        if not isinstance(image["text"], str):
            raise TypeError(f"the text of an image must be str, got {type(image['text']).__name__}")
        return replace(piece(image["image"]), text=image["text"])
    if isinstance(image, dict | list):
        return of_json(image)
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
        "picture of Pillow, or (name, one of these); of a sample that is JSON, a dict or a list"
    )


def of_json(value: Any) -> Piece:
    """Return a JSON value as a file without a name. Raises TypeError, ValueError."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    content = text.encode()
    return Piece("", len(content), lambda: iter((content,)))


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


def is_one(images: Any) -> bool:
    """Whether this is one: bytes, a file, an object, a picture, or an array (h, w) or (h, w, 3)."""
    if isinstance(images, bytes | bytearray | memoryview | dict | Piece):
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
