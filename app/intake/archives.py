"""What zip and tar files of strangers may hold, and how they are read without believing them.

Nothing is ever extracted to a path: images go to a spool, one after the other. Of a member becomes:

- a file: an image named by its path in the archive, whatever its suffix; what cannot be decoded is
  told later, by name, like any other image that cannot;
- a folder, and the clutter of desktops (``__MACOSX``, ``._*``, ``.DS_Store``, ``Thumbs.db``,
  ``desktop.ini``): passed over, up to as many as there may be images;
- a link, a device, a sparse or an encrypted file, a compression other than deflate, a path that is
  absolute or has ``..`` or control characters, a name that came before, and an archive inside the
  archive: the whole upload is refused, naming the member. Packers of image folders make none of
  these unasked, and to leave one out would be a silent loss.

Headers lie, so bytes are counted as they unpack, against what they were unpacked from; and what
says which members there are has bounds of its own.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from starlette.exceptions import HTTPException

from app.errors import MalformedUploadError, RefusedMemberError, TooManyImagesError
from app.intake.limits import Limits, quoted
from detector.errors import DetectorError

CHUNK = 2**20
"""Bytes that are read and written at once."""
_CLUTTER = {".ds_store", "thumbs.db", "desktop.ini"}
_DRIVE = re.compile("[A-Za-z]:")


class Names:
    """The names of an archive's members, each looked at once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._seen: set[str] = set()
        self._passed_over = 0

    def take(self, name: str, *, is_folder: bool) -> str | None:
        """Return a member's path, with slashes and without ``./``; None if it is passed over.

        Raises:
            RefusedMemberError: if it is a path that no archive of images has, or came before.
            TooManyImagesError: if too many were passed over.
        """
        path = name.replace("\\", "/")
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if is_folder or is_clutter(parts):
            self._passed_over += 1
            self._limits.check_count(self._passed_over)
            return None
        if not parts or ".." in parts or path.startswith("/") or _DRIVE.match(path):
            raise RefusedMemberError(
                f"{quoted(name)} is no path inside the archive: pack the folder with paths "
                "relative to it"
            )
        label = "/".join(parts)
        if label in self._seen:
            raise RefusedMemberError(f"{quoted(label)} is there twice: rename one of them")
        self._seen.add(label)
        return label


def is_clutter(parts: list[str]) -> bool:
    """Whether the parts of a path lead to what a desktop left, not a person."""
    return bool(parts) and (
        "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1].lower() in _CLUTTER
    )


class Counted:
    """A file that counts what it has delivered, and refuses to deliver very much at once."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.delivered = 0
        self.most: int | None = None
        """Most bytes of one reading; None for any number."""
        self.advice = ""
        """The end of what is said of more."""
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            TooManyImagesError: if more are wanted than the bound; readers of a zip file want the
                list of all its members at once, as long as the file says.
        """
        if self.most is not None and size > self.most:
            raise TooManyImagesError(
                f"the archive's list of members has {size} bytes, more than {self.most}"
                + self.advice
            )
        content = self._file.read(size)
        self.delivered += len(content)
        return content


@contextmanager
def readable(kind: str) -> Iterator[None]:
    """Turn the many errors of reading a damaged archive into one."""
    try:
        yield
    except (DetectorError, HTTPException):  # ours, and the middleware's on too long a body
        raise
    except Exception as error:
        raise MalformedUploadError(
            f"the {kind} is damaged or cut short ({type(error).__name__}: {error}): send it again"
        ) from error
