"""A zip file of images into a spool; see ``app.intake.archives`` for what it may hold.

Its list of members is at its end, so the whole file lies on the disk, without a name, meanwhile:
beside its images, for as many files at once as ``unpacking`` lets in. Requests count the larger.
"""

import shutil
import stat
from contextlib import AbstractContextManager
from tempfile import TemporaryFile
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from app.errors import RefusedMemberError
from app.intake.archives import CHUNK, Counted, Names, readable
from app.intake.limits import quoted
from app.intake.spool_writer import SpoolWriter

_KIND = "zip file"
_ENCRYPTED = 0x1


def read_zip(
    body: IO[bytes], writer: SpoolWriter, unpacking: AbstractContextManager[object]
) -> None:
    """Write the images of a zip file to a spool, in the order of its list.

    ``unpacking`` is entered once the whole body is there: clients that are slow hold up nobody.

    Raises:
        MalformedUploadError: if it is damaged or cut short.
        RefusedMemberError: if a member is refused.
        TooManyImagesError, UploadTooLargeError, CompressionRatioError: if it is over a limit.
    """
    with TemporaryFile(dir=writer.path.parent) as file:
        shutil.copyfileobj(body, file, CHUNK)
        packed = file.tell()
        counted = Counted(file)
        counted.most, counted.advice = writer.limits.label_bytes, writer.limits.TOO_LONG
        with readable(_KIND):
            archive = ZipFile(counted)
        counted.most = None
        names = Names(writer.limits)
        with archive, unpacking:
            for info in archive.infolist():
                path = info.orig_filename  # as it stands there; ``filename`` ends at a zero byte
                name = names.take(path, is_folder=path.endswith("/"))
                if name is not None:
                    _check(info, name)
                    _unzip(archive, info, name, counted, writer)
                    writer.limits.check_ratio("the archive", writer.total_bytes, packed)


def _check(info: ZipInfo, name: str) -> None:
    """Refuse what is no plain file."""
    if info.flag_bits & _ENCRYPTED:
        raise RefusedMemberError(f"{quoted(name)} is encrypted: pack it without a password")
    if info.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        raise RefusedMemberError(
            f"{quoted(name)} is compressed by method {info.compress_type}: pack it with deflate, "
            "method 8, or uncompressed"
        )
    if stat.S_IFMT(info.external_attr >> 16) not in {0, stat.S_IFREG}:
        raise RefusedMemberError(f"{quoted(name)} is a link or a device: pack the file itself")


def _unzip(
    archive: ZipFile, info: ZipInfo, name: str, counted: Counted, writer: SpoolWriter
) -> None:
    writer.begin(name)
    before, unpacked = counted.delivered, 0
    with readable(_KIND):
        member = archive.open(info)
    with member:
        while True:
            with readable(_KIND):
                content = member.read(CHUNK)
            if not content:
                break
            unpacked += len(content)
            writer.limits.check_ratio(quoted(name), unpacked, counted.delivered - before)
            writer.write(content)
    writer.end()
