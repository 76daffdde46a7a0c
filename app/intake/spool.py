"""One file that holds a job's samples: read by any process, any time after it was written.

It is a ZIP whose members lie in it as they came, uncompressed: ``0``, ``1``, ... are the images in
order of arrival, ``mask`` is what was sent as mask, and ``manifest.json``, written last, says of
each image its name, group, role, size in bytes and SHA-256. Names are labels, never paths. A
manifest may name files of a folder instead (``app.intake.folders``); then it is the only member.

A file that was cut short has no directory at its end, and one that was changed does not have the
digests of its manifest: either is a ``DamagedSpoolError``, never fewer or other images.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol
from zipfile import ZipFile

from app.errors import DamagedSpoolError
from app.images.sources import Source
from detector.errors import DetectorError

FORMAT = 1
MANIFEST, MASK = "manifest.json", "mask"

Role = Literal["normal", "anomaly"]


@dataclass(frozen=True, slots=True)
class ListedText:
    """The text that belongs to a listed file, in a file of its own, and what makes them one."""

    kind: str
    file: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One sample: its name as sent, and what is known of its bytes."""

    name: str
    group: str
    role: Role
    size: int
    sha256: str | None
    """Of the bytes; None for a file that was listed and not read."""
    file: str | None = None
    """The path of a listed file; None where the bytes lie in the spool."""
    mtime_ns: int | None = None
    """When a listed file was last changed."""
    text: ListedText | None = None
    """Of a listed file that is a sample together with a text only."""


@dataclass(frozen=True, slots=True)
class Mask:
    """What was sent as mask: a file, or text."""

    text: bool
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Spooled:
    """What a finished spool holds."""

    path: Path
    images: int
    bytes: int
    """Of the images, without the mask."""
    digest: str
    """SHA-256 over names, groups, roles and contents in order, and over the mask: the same upload
    has the same one, however it came. Of listed files, size and time stand for the content."""


class Images(Protocol):
    """The images of a job, wherever their bytes lie."""

    @property
    def entries(self) -> Sequence[Entry]:
        """What is known of each image, in order."""
        ...

    @property
    def mask(self) -> bytes | str | None:
        """What was sent as mask: a file's bytes, or text."""
        ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes:
        """Return one image's bytes."""
        ...


def as_sources(images: Images) -> list[Source]:
    """Return images as sources, each read on a thread when its turn comes."""
    return [
        Source(entry.name, partial(asyncio.to_thread, images.read, index))
        for index, entry in enumerate(images.entries)
    ]


def seal(archive: ZipFile, entries: Sequence[Entry], mask: Mask | None = None) -> str:
    """Write the manifest of an archive and close it; return the digest of what it holds."""
    content: dict[str, Any] = {
        "images": [_said(entry) for entry in entries],
        "mask": asdict(mask) if mask else None,
    }
    digest = _digest(content)
    archive.writestr(MANIFEST, json.dumps({"format": FORMAT, "digest": digest} | content))
    archive.close()
    return digest


def _said(entry: Entry) -> dict[str, Any]:
    """Return what a manifest says of a sample; the same of those without a text as ever."""
    said = asdict(entry)
    if entry.text is None:
        del said["text"]
    return said


def _entry(said: dict[str, Any]) -> Entry:
    text = said.get("text")
    return Entry(**{**said, "text": ListedText(**text) if text else None})


class SpoolFile:
    """A finished spool, open for reading; threads may share it.

    Raises:
        DamagedSpoolError: if the file is missing, cut short or changed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _whole(path):
            self._zip = ZipFile(path)
        try:
            with _whole(path):
                self.entries, self._mask, self.digest = _parsed(self._zip)
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "SpoolFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._zip.close()

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int) -> bytes:
        """Return the bytes of the image at this place, counted from 0.

        Raises:
            DamagedSpoolError: if they are not those that were sent.
        """
        entry = self.entries[index]
        return self._member(str(range(len(self))[index]), entry.size, entry.sha256)

    @property
    def mask(self) -> bytes | str | None:
        """What was sent as mask: a file's bytes, or text.

        Raises:
            DamagedSpoolError: if it is not what was sent.
        """
        if self._mask is None:
            return None
        content = self._member(MASK, self._mask.size, self._mask.sha256)
        return content.decode("utf-8", "replace") if self._mask.text else content

    def _member(self, member: str, size: int, sha256: str | None) -> bytes:
        with _whole(self._path):
            with self._zip.open(member) as stream:
                content = stream.read(size + 1)
            if hashlib.sha256(content).hexdigest() != sha256:
                raise ValueError(f"member {member} has another digest than the manifest says")
        return content


def _parsed(archive: ZipFile) -> tuple[tuple[Entry, ...], Mask | None, str]:
    """Return what a manifest says, if the members that it speaks of are there."""
    manifest = json.loads(archive.read(MANIFEST))
    digest = str(manifest["digest"])
    entries = tuple(_entry(said) for said in manifest["images"])
    mask = None if manifest["mask"] is None else Mask(**manifest["mask"])
    if manifest["format"] != FORMAT or digest != _digest(manifest):
        raise ValueError("the manifest is of another format or was changed")
    members = {str(at) for at, entry in enumerate(entries) if entry.file is None}
    if {MANIFEST} | members | ({MASK} if mask else set()) != set(archive.namelist()):
        raise ValueError("members are missing")
    return entries, mask, digest


def _digest(manifest: dict[str, Any]) -> str:
    """Return the SHA-256 of what a manifest says of images and mask."""
    said = json.dumps([manifest["images"], manifest["mask"]], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn the many errors of reading a damaged ZIP into one."""
    try:
        yield
    except DetectorError:
        raise
    except Exception as error:
        raise DamagedSpoolError(
            f"the kept upload {path.name} is damaged, cut short or gone ({error}): send the "
            "images again"
        ) from error
