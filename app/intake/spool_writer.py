"""Writes a job's samples into one file as they arrive, and counts them against the limits."""

import hashlib
import re
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Self
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from app.errors import MalformedUploadError, NoImagesError, RefusedMemberError
from app.intake.grouping import Grouping
from app.intake.limits import Limits, quoted
from app.intake.signatures import HEAD_BYTES, ZIP_ARCHIVE, archive_kind
from app.intake.spool import MASK, Entry, Mask, Role, Spooled, seal
from detector.kinds import Kind, image

MAX_NAME = 1000
"""Longest name of an image, in characters."""
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def check_name(name: str) -> None:
    """Refuse a name that cannot be kept in every database, or seen.

    Raises:
        RefusedMemberError: if it is too long or has control characters.
    """
    if len(name) > MAX_NAME:
        raise RefusedMemberError(
            f"the name {quoted(name)} has {len(name)} characters: at most {MAX_NAME}"
        )
    if _CONTROL.search(name):
        raise RefusedMemberError(f"the name {quoted(name)} has control characters: rename it")


@dataclass(slots=True)
class _Member:
    """The member that is being written."""

    name: str
    role: Role | None
    """Of an image; None for the mask."""
    stream: IO[bytes]
    text: bool = False
    group: str = ""
    size: int = 0
    head: bytes = b""
    sha256: Any = field(default_factory=hashlib.sha256)


class SpoolWriter:
    """``begin``, ``write`` and ``end`` for each sample, then ``finish``; see ``app.intake.spool``.

    What is an archive is refused, but for a zip file where the kind's samples may be that.
    Used as a context manager it leaves no file behind unless it was finished. It blocks: keep it
    off the event loop. Once ``stopped`` is set, by another thread, nothing more is written.
    """

    def __init__(
        self,
        path: Path,
        limits: Limits,
        stopped: threading.Event | None = None,
        kind: Kind = image.KIND,
    ) -> None:
        self.path = path
        self.kind = kind
        self._stopped = stopped or threading.Event()
        self.limits = limits
        self.total_bytes = 0
        """Of images and mask, so far."""
        self._zip = ZipFile(path, "x", ZIP_STORED)
        self._entries: list[Entry] = []
        self._mask: Mask | None = None
        self._member: _Member | None = None
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._finished:
            return
        try:
            with suppress(OSError, ValueError):  # a full disk must not hide why we are here
                if self._member:
                    self._member.stream.close()
                self._zip.close()
        finally:
            self.path.unlink(missing_ok=True)

    def begin(self, name: str, role: Role = "normal", group: str = "") -> None:
        """Begin a sample; with a group it is of that, whatever is said later of all.

        Raises:
            TooManyImagesError: if it is one more than a job may have.
            RefusedMemberError: if its name is too long or has control characters.
        """
        self.limits.check_count(len(self._entries) + 1)
        check_name(name)
        stream = self._open(str(len(self._entries)))
        self._member = _Member(name, role, stream, group=group)

    def begin_mask(self, *, text: bool) -> None:
        """Begin the mask: a file, or text in UTF-8."""
        self._member = _Member(MASK, None, self._open(MASK), text)

    def write(self, content: bytes) -> None:
        """Write more of what was begun.

        Raises:
            UploadTooLargeError: if it, or all together, has more bytes than allowed.
            MalformedUploadError: if it was stopped.
        """
        if self._stopped.is_set():
            raise MalformedUploadError("the upload was cancelled")
        member = self._begun
        member.size += len(content)
        self.total_bytes += len(content)
        self.limits.check_image(member.name, member.size)
        self.limits.check_total(self.total_bytes)
        if len(member.head) < HEAD_BYTES:
            member.head += content[: HEAD_BYTES - len(member.head)]
        member.sha256.update(content)
        member.stream.write(content)

    def end(self) -> None:
        """End what was begun.

        Raises:
            RefusedMemberError: if it is an archive.
        """
        member = self._begun
        member.stream.close()
        self._member = None
        found = archive_kind(member.head)
        if found and not (member.role and self.kind.archives and found == ZIP_ARCHIVE):
            raise RefusedMemberError(
                f"{quoted(member.name)} is {found}, not one {self.kind.sample}: send the "
                f"{self.kind.sample}s themselves, or one zip or tar as the request's body with "
                "its own Content-Type, none in another"
            )
        sha256 = member.sha256.hexdigest()
        if member.role is None:
            self._mask = Mask(member.text, member.size, sha256)
        else:
            entry = Entry(member.name, member.group, member.role, member.size, sha256)
            self._entries.append(entry)

    def finish(self, grouping: Grouping) -> Spooled:
        """Give every image its group and close the file.

        Raises:
            NoImagesError: if there is no image.
            InvalidGroupError: if one cannot be given its group.
        """
        if not self._entries:
            raise NoImagesError(f"the upload holds no {self.kind.sample}: send at least one")
        grouping.check([entry.name for entry in self._entries])
        entries = [
            entry if entry.group else replace(entry, group=grouping.of(entry.name))
            for entry in self._entries
        ]
        digest = seal(self._zip, entries, self._mask)
        self._finished = True
        return Spooled(self.path, len(entries), sum(entry.size for entry in entries), digest)

    def _open(self, member: str) -> IO[bytes]:
        return self._zip.open(ZipInfo(member), "w", force_zip64=True)

    @property
    def _begun(self) -> _Member:
        assert self._member is not None, "nothing was begun"
        return self._member
