"""A tar file of images, gzipped or not, into a spool as it arrives; see ``app.intake.archives``.

``tarfile`` reads the headers, on a stream that only goes forward. Three things it forgives are
errors here, for each would lose images in silence: a damaged header after the first one, an end
without the block of zeros that says so, and content after that block (archives joined together).
"""

import gzip
import io
import tarfile
from collections.abc import Iterator
from tarfile import EOFHeaderError, HeaderError  # type: ignore[attr-defined]
from typing import Protocol

from app.errors import MalformedUploadError, RefusedMemberError
from app.intake.archives import CHUNK, Counted, Names, readable
from app.intake.limits import Limits, quoted
from app.intake.spool_writer import SpoolWriter

_KIND = "tar file"
GZIP = b"\x1f\x8b"
HEADER_BYTES = 2**15
"""Most bytes that may come before one member's content: headers, long names, attributes."""
PADDING_BYTES = 2**24
"""Most zeros after the end; tapes had records of up to 10 MiB."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_tar(body: io.BufferedReader, writer: SpoolWriter) -> None:
    """Write the images of a tar file to a spool, in order.

    Raises:
        MalformedUploadError: if it is damaged or cut short.
        RefusedMemberError: if a member is refused.
        TooManyImagesError, UploadTooLargeError, CompressionRatioError: if it is over a limit.
    """
    packed = Counted(body)
    is_packed = body.peek(2).startswith(GZIP)
    stream = Forward(
        gzip.GzipFile(fileobj=packed, mode="rb") if is_packed else packed, packed, writer.limits
    )
    names = Names(writer.limits)
    for member in members(stream):
        name = names.take(member.name, is_folder=member.isdir())
        if name is None:
            continue
        if not member.isreg() or member.issparse():
            raise RefusedMemberError(
                f"{quoted(name)} is a link, a device or a sparse file: pack the file itself "
                "(tar --dereference --hard-dereference)"
            )
        writer.begin(name)
        for content in stream.content(member.size):
            writer.write(content)
        writer.end()
    stream.finish()


def members(stream: "Forward") -> Iterator[tarfile.TarInfo]:
    """Yield the headers of a tar file; content that is not read before the next is passed over.

    Raises:
        MalformedUploadError: if it is damaged or cut short.
    """
    with readable(_KIND):
        stream.expect_header()
        archive = tarfile.TarFile(
            fileobj=stream,  # type: ignore[arg-type]  # reads, seeks and tells
            tarinfo=_Header,
            encoding="utf-8",
            errors="replace",
        )
    while True:
        with readable(_KIND):
            stream.expect_header()
            member = archive.next()
            if member is None:
                return
            _check_extent(archive, member)
        archive.members.clear()  # type: ignore[attr-defined]  # the writer keeps the only list
        archive.pax_headers = {}  # what is said of all members shall not pile up
        yield member


def _check_extent(archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    """Refuse a size that does not lead to the next header; attributes may contradict headers."""
    blocks = -(-member.size // tarfile.BLOCKSIZE)
    following = member.offset_data + blocks * tarfile.BLOCKSIZE
    plain = member.isreg() and not member.issparse()
    if plain and (member.size < 0 or archive.offset != following):
        raise tarfile.ReadError(f"{quoted(member.name)} has no possible size")


class _Header(tarfile.TarInfo):
    """A member's header, which must be whole."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Header":
        """Return the next header; what is neither one nor the end is an error."""
        try:
            return super().fromtarfile(archive)
        except EOFHeaderError:
            raise
        except HeaderError as error:
            raise MalformedUploadError(
                f"the tar file is damaged or cut short ({error}): send it again"
            ) from error


class Forward:
    """A stream that only goes forward, and counts what is read, passed over and unpacked."""

    def __init__(self, file: _Readable, packed: Counted, limits: Limits) -> None:
        self._file = file
        self._packed = packed
        self._limits = limits
        self._position = 0
        self._passed_over = 0
        self._header_bytes = 0

    def tell(self) -> int:
        """Return how far it is read."""
        return self._position

    def seek(self, position: int) -> None:
        """Go forward."""
        if position < self._position:
            raise tarfile.ReadError("a header leads backwards")
        size = position - self._position
        self._passed_over += size - size % tarfile.BLOCKSIZE  # the rest of a block is padding
        self._limits.check_total(self._passed_over)
        for _ in self.content(size):
            pass

    def expect_header(self) -> None:
        """Let ``tarfile`` read what comes before the next content."""
        self._header_bytes = HEADER_BYTES

    def read(self, size: int) -> bytes:
        """Return the next bytes of a header, as ``tarfile`` wants them."""
        if not 0 <= size <= self._header_bytes:
            raise MalformedUploadError(
                f"a header of the tar file has more than {HEADER_BYTES} bytes: pack the images "
                "without extended attributes"
            )
        self._header_bytes -= size
        return self._take(size)

    def content(self, size: int) -> Iterator[bytes]:
        """Yield the next bytes, all of them.

        Raises:
            MalformedUploadError: if there are fewer.
        """
        while size > 0:
            with readable(_KIND):
                content = self._take(min(size, CHUNK))
                if not content:
                    raise EOFError("it ends inside a member")
            size -= len(content)
            yield content

    def finish(self) -> None:
        """Read to the end, so that what follows the last member is known to be nothing.

        Raises:
            MalformedUploadError: if it is something.
        """
        padding = 0
        while True:
            with readable(_KIND):
                content = self._take(CHUNK)
            padding += len(content)
            if not content:
                return
            if content.count(0) < len(content) or padding > PADDING_BYTES:
                raise MalformedUploadError(
                    "the tar file goes on after its end: send archives one by one, not joined"
                )

    def _take(self, size: int) -> bytes:
        content = self._file.read(size)
        self._position += len(content)
        if self._file is not self._packed:
            self._limits.check_ratio("the archive", self._position, self._packed.delivered)
        return content
