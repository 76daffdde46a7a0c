"""Untrusted bytes of a zip file to the pictures in it, one at a time, in order of their names."""

import io
import re
import stat
import zipfile
from collections.abc import Iterator

from detector import imaging
from detector.errors import SampleError, SampleTooLargeError, UnsupportedSampleError
from detector.imaging import Pixels

_ENTRY, _CLUTTER = b"PK\x01\x02", {".ds_store", "thumbs.db", "desktop.ini"}
_CHUNK = 2**20


def read(content: bytes, *, most: int, pixels: int, zip_bytes: int) -> Iterator[tuple[str, Pixels]]:
    """Yield each picture's name, as it is said in messages, and the picture.

    Names are in their natural order: frame2 comes before frame10.

    Args:
        content: the file.
        most: pictures.
        pixels: most of a picture.
        zip_bytes: most unpacked.

    Raises:
        UnsupportedSampleError: if something in it is not accepted.
        SampleTooLargeError: if it is over a limit.
        SampleError: if a picture is none, as ``imaging.decode``.
        Exception: if it is damaged, whatever ``zipfile`` raises.
    """
    if content.count(_ENTRY) > 2 * most + 100:  # before the list of members becomes objects
        raise SampleTooLargeError(f"the zip file has more than {most} pictures: send fewer")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [member for member in archive.infolist() if not _passed_over(member)]
        if len({member.filename for member in members}) < len(members):
            raise UnsupportedSampleError("the zip file has a name twice: rename one of them")
        unpacked = 0
        for member in sorted(members, key=_natural):
            picture = _member(archive, member, zip_bytes - unpacked)
            unpacked += len(picture)
            name = _quoted(member)
            try:
                decoded = imaging.decode(picture, max_pixels=pixels, min_side=1)
            except SampleError as error:
                raise type(error)(f"{name}: {error}") from error
            yield name, decoded


def _passed_over(member: zipfile.ZipInfo) -> bool:
    """Whether a member is a folder or clutter of desktops. Raises for what no packer makes."""
    name = member.filename
    if member.flag_bits & 1 or member.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise UnsupportedSampleError(f"{_quoted(member)} is encrypted, or not packed by deflate")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnsupportedSampleError(f"{_quoted(member)} is a link: pack the picture itself")
    parts = name.split("/")
    return (
        member.is_dir()
        or "__MACOSX" in parts
        or parts[-1].startswith("._")
        or parts[-1].lower() in _CLUTTER
    )


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """Return a member's bytes, counted as they unpack, for headers lie."""
    parts: list[bytes] = []
    size = 0
    with archive.open(member) as file:
        while part := file.read(_CHUNK):
            size += len(part)
            if size > most:
                raise SampleTooLargeError("the zip file unpacks to too much: send fewer pictures")
            parts.append(part)
    return b"".join(parts)


def _natural(member: zipfile.ZipInfo) -> list[tuple[int, int, str]]:
    """Return a key by which frame2 comes before frame10."""
    pieces = re.split(r"(\d{1,18})", member.filename)
    return [(1, int(p), "") if p.isdecimal() else (0, 0, p) for p in pieces if p]


def _quoted(member: zipfile.ZipInfo) -> str:
    name = member.filename
    return repr(name if len(name) <= 80 else name[:77] + "...")
