"""Which archive a file is, by its first bytes; names prove nothing.

Sources: the magic numbers of PKWARE's APPNOTE 4.3, RFC 1952 (gzip), RFC 8878 (zstd), and of the
formats' own descriptions for bzip2, xz, 7z, RAR, LZ4 and cabinet. A tar has no magic number of old:
its header is one if its checksum holds (POSIX.1-1988, ustar), which no image's first block does.
"""

import re
import tarfile

HEAD_BYTES = tarfile.BLOCKSIZE
ZIP_ARCHIVE = "a zip archive"
_MAGIC = {
    b"PK\x03\x04": ZIP_ARCHIVE,
    b"PK\x05\x06": ZIP_ARCHIVE,
    b"PK\x07\x08": ZIP_ARCHIVE,
    b"\x1f\x8b\x08": "a gzip file",
    b"\x1f\x9d\x90": "a compress (.Z) file",
    b"\xfd7zXZ\x00": "an xz file",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"\x04\x22\x4d\x18": "an LZ4 file",
    b"MSCF\0\0\0\0": "a cabinet archive",
}
_BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
"""With its block size and the mark of a block, or of the end of an empty file: three letters may
begin a text."""


def archive_kind(head: bytes) -> str | None:
    """Return what archive a file's first ``HEAD_BYTES`` begin, in words; None for no archive."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if _BZIP2.match(head):
        return "a bzip2 file"
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "replace")
    except (tarfile.TarError, ValueError):
        return None
    return "a tar archive"
