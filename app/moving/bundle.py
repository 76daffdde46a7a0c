"""A detector as one file: how it is written, and how one that comes from elsewhere is checked.

It is a ZIP whose members lie in it uncompressed, one after the other and with nothing between:

- ``fit.safetensors``, ``decision.safetensors``: the detector (``detector.artefact``);
- ``images.json``: digest, name, group and role of its images, and where their rows are;
- ``rows/000000.safetensors``, ...: rows of some dozens of images each, if they were wanted;
- ``golden/00.png``, ... and ``golden.json``: images, how each was made, and its score;
- ``manifest.json``, last: what it is, where it comes from, and the SHA-256 of all others.

Digests tell damage, not origin: who can write a bundle can write its digests. So nothing in it is
believed further than it is checked, and nothing is ever unpickled.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, TypeVar
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from pydantic import ValidationError

from app.errors import InvalidBundleError, MalformedUploadError, TooManyImagesError
from app.intake.archives import CHUNK, Counted, readable
from app.intake.limits import quoted
from app.schemas.bundles import FORMAT, BundledImages, Golden, Manifest, Said

FIT, DECISION = "fit.safetensors", "decision.safetensors"
IMAGES, GOLDEN, MANIFEST = "images.json", "golden.json", "manifest.json"
MOST_MEMBERS = 50_000
"""Rows of some three million images."""
_LIST_BYTES = 128 * MOST_MEMBERS  # a member's entry in the list at the end takes less
# What lies before a member's name, and what ends the file (APPNOTE.TXT 4.3.7, 4.3.16).
_HEADER_BYTES, _END_BYTES, _END = 30, 22, b"PK\5\6"
# What is read into memory at once: a fit of the finest grid has some 100 MB.
_MOST_BYTES = {"safetensors": 2**30, "json": 2**26, "png": 2**25, "npy": 2**25}
_NAME = re.compile(
    r"(fit|decision|rows/\d{6})\.safetensors|(images|golden|manifest)\.json|golden/\d\d\.(png|npy)",
    re.ASCII,
)
M = TypeVar("M", bound=Said)


class BundleWriter:
    """Members one after the other, then the manifest; a context manager, for files have an end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = ZipFile(file, "w", ZIP_STORED)
        self._members: dict[str, str] = {}

    def __enter__(self) -> "BundleWriter":
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):  # a full disk must not hide why we are here
            self._zip.close()

    def add(self, name: str, content: bytes | Said) -> None:
        """Write a member."""
        if isinstance(content, Said):
            content = content.model_dump_json().encode()
        self._members[name] = hashlib.sha256(content).hexdigest()
        self._zip.writestr(ZipInfo(name), content)  # without a date: alike gives alike

    def finish(self, **about: Any) -> Manifest:
        """Write the manifest, with the digests, and the list of members."""
        manifest = Manifest(members=self._members, **about)
        said = manifest.model_dump_json()
        signed = {"sha256": hashlib.sha256(said.encode()).hexdigest(), "manifest": said}
        self._zip.writestr(ZipInfo(MANIFEST), json.dumps(signed))
        self._zip.close()
        return manifest


class Bundle:
    """A bundle that was checked: whole, undamaged, and with no other members than it may have.

    Raises:
        InvalidBundleError: if it is none.
    """

    def __init__(self, file: IO[bytes]) -> None:
        with _whole():
            counted = Counted(file)
            counted.most = _LIST_BYTES
            self._zip = ZipFile(counted)
            counted.most = None
            self._sizes = self._laid_out(file)
            self.manifest = self._manifest()
            for name, digest in self.manifest.members.items():
                if self._digest(name) != digest:
                    raise InvalidBundleError(f"{name} is damaged: it has another digest")
            self.images = self.said(IMAGES, BundledImages).images
            self.golden = self.said(GOLDEN, Golden)
            self._check_references()

    @property
    def has_rows(self) -> bool:
        """Whether rows of its images came along."""
        return any(image.chunk is not None for image in self.images)

    def read(self, name: str) -> bytes:
        """Return a member's content."""
        with _whole():
            return self._zip.read(name)

    def said(self, name: str, kind: type[M]) -> M:
        """Return what a JSON member says."""
        return _parsed(name, kind, self.read(name))

    def _laid_out(self, file: IO[bytes]) -> dict[str, int]:
        """Return the members and their sizes, if they fill the file from its beginning."""
        found: dict[str, int] = {}
        end = 0
        if len(self._zip.infolist()) > MOST_MEMBERS:
            raise InvalidBundleError(f"it has more than {MOST_MEMBERS} members")
        for info in self._zip.infolist():
            name = info.orig_filename
            if not _NAME.fullmatch(name) or name in found:
                raise InvalidBundleError(f"{quoted(name)} is no member of a bundle, or there twice")
            plain = info.compress_type == ZIP_STORED and info.compress_size == info.file_size
            if not plain or info.flag_bits or info.header_offset != end:
                raise InvalidBundleError(f"{name} is compressed, encrypted or out of place")
            most = _MOST_BYTES[name.rpartition(".")[2]]
            if info.file_size > most:
                raise InvalidBundleError(f"{name} has more than {most} bytes")
            found[name] = info.file_size
            end += _HEADER_BYTES + len(name) + info.file_size
        file.seek(-_END_BYTES, os.SEEK_END)
        if end != self._zip.start_dir or self._zip.comment or not file.read().startswith(_END):
            raise InvalidBundleError("it holds bytes that belong to no member")
        return found

    def _manifest(self) -> Manifest:
        if MANIFEST not in self._sizes:
            raise InvalidBundleError(f"{MANIFEST} is missing: this is no bundle of gatewatch")
        signed = _json(MANIFEST, self.read(MANIFEST))
        said = str(signed["manifest"]).encode()
        if hashlib.sha256(said).hexdigest() != signed["sha256"]:
            raise InvalidBundleError(f"{MANIFEST} is damaged: it has another digest")
        told = _json(MANIFEST, said).get("format")
        if told != FORMAT:
            raise InvalidBundleError(
                f"it is of format {quoted(str(told))}, this gatewatch reads {FORMAT}: import it "
                "with the version that wrote it, or a newer one"
            )
        manifest = _parsed(MANIFEST, Manifest, said)
        if [*manifest.members, MANIFEST] != list(self._sizes):
            raise InvalidBundleError("members are missing, added or in another order")
        needed = {FIT, DECISION, IMAGES, GOLDEN} - manifest.members.keys()
        if needed:
            raise InvalidBundleError(f"{', '.join(sorted(needed))} is missing")
        return manifest

    def _check_references(self) -> None:
        """Refuse references to members that are not there, and members that nobody refers to."""
        numbers = {image.chunk for image in self.images if image.chunk is not None}
        wanted = {chunk_name(number) for number in numbers}
        wanted |= {image.file for image in self.golden.images}
        wanted |= {FIT, DECISION, IMAGES, GOLDEN, MANIFEST}
        if wanted != self._sizes.keys():
            strays = sorted(wanted ^ self._sizes.keys())
            raise InvalidBundleError(f"{strays[0]} is missing, or nothing refers to it")

    def _digest(self, name: str) -> str:
        digest = hashlib.sha256()
        with self._zip.open(name) as member:
            while content := member.read(CHUNK):
                digest.update(content)
        return digest.hexdigest()


def chunk_name(number: int) -> str:
    """Return the name of the member that holds the rows of this number."""
    return f"rows/{number:06d}.safetensors"


@contextmanager
def _whole() -> Iterator[None]:
    """Turn the many errors of reading a damaged bundle into one."""
    try:
        with readable("bundle"):
            yield
    except (MalformedUploadError, TooManyImagesError) as error:
        raise InvalidBundleError(str(error)) from error


def _parsed(name: str, kind: type[M], content: bytes) -> M:
    try:
        return kind.model_validate(_json(name, content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidBundleError(f"{name}: {where}: {first['msg']}") from error


def _json(name: str, content: bytes) -> Mapping[str, Any]:
    """Return a JSON object whose every text can be written, and whose every number is one."""
    try:
        value = json.loads(content, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()  # halves of surrogate pairs fail here
    except (ValueError, RecursionError) as error:
        raise InvalidBundleError(f"{name} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise InvalidBundleError(f"{name} is no JSON object")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
