"""Multipart forms of any size: each part goes into a spool as it arrives, none stays in memory.

Fields: files ``images`` or ``samples``, which is the same; at most one ``mask``, a file or text; at
most one ``groups``, JSON, a file or text (``app.intake.grouping``); where a route takes them, files
``anomalies``; and, where samples are pairs, a text ``texts`` for every file (``app.intake.pairs``).
"""

from typing import IO, TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.errors import MalformedUploadError, UploadTooLargeError
from app.images.sources import FIELD, FIELDS, MASK_FIELD, TEXTS_FIELD, no_file
from app.intake.archives import CHUNK
from app.intake.grouping import Grouping
from app.intake.limits import quoted
from app.intake.pairs import Halves
from app.intake.spool_writer import SpoolWriter

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

ANOMALIES_FIELD, GROUPS_FIELD = "anomalies", "groups"


def read_form(
    body: IO[bytes],
    content_type: str,
    writer: SpoolWriter,
    grouping: Grouping,
    *,
    anomalies: bool,
) -> Grouping:
    """Write the files of a form to a spool; return the grouping with what its ``groups`` say.

    Raises:
        MalformedUploadError: if the form cannot be read, is cut short or has other fields.
        InvalidGroupError: if ``groups`` cannot be read.
        TooManyImagesError, UploadTooLargeError: if it is over a limit.
        RefusedMemberError: if a file is an archive.
    """
    _, parameters = parse_options_header(content_type)
    form = _Form(writer, anomalies)
    try:
        parser = MultipartParser(parameters.get(b"boundary", b""), form.callbacks)
        while content := body.read(CHUNK):
            parser.write(content)
        parser.finalize()
    except FormParserError as error:
        raise MalformedUploadError(f"the multipart body cannot be read: {error}") from error
    if not form.ended:
        raise MalformedUploadError(
            "the multipart body cannot be read: it ends before its closing boundary"
        )
    return grouping if form.groups is None else grouping.with_named(bytes(form.groups))


class _Form:
    """What the parser calls, part by part."""

    def __init__(self, writer: SpoolWriter, anomalies: bool) -> None:
        self.groups: bytearray | None = None
        self.ended = False
        self.callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finish,
        }
        self._writer = writer
        self._halves = writer if isinstance(writer, Halves) else None
        self._files = {*FIELDS, ANOMALIES_FIELD} if anomalies else set(FIELDS)
        self._once = {MASK_FIELD, GROUPS_FIELD}
        """Fields that may still come."""
        self._field = self._value = b""
        self._disposition: bytes | None = None
        self._is_groups = False

    def _begin(self) -> None:
        self._field = self._value = b""
        self._disposition = None

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        if b"name" not in options:
            raise MalformedUploadError("a part of the multipart body has no name of a field")
        name = _text(options[b"name"])
        file = options.get(b"filename")
        if name in self._files and file is not None:
            self._writer.begin(_text(file), "anomaly" if name == ANOMALIES_FIELD else "normal")
        elif name == TEXTS_FIELD and file is None and self._halves is not None:
            self._halves.begin_text()
        elif name in self._once:
            self._once.remove(name)
            if name == MASK_FIELD:
                self._writer.begin_mask(text=file is None)
            else:
                self.groups = bytearray()
        else:
            self._refuse(name)
        self._is_groups = name == GROUPS_FIELD

    def _refuse(self, name: str) -> None:
        if name in self._files:
            raise no_file(name)
        if name in {MASK_FIELD, GROUPS_FIELD}:
            raise MalformedUploadError(f"field {name!r} comes twice: one counts for all images")
        files = repr(FIELD)
        if ANOMALIES_FIELD in self._files:
            files += f" or {ANOMALIES_FIELD!r}"
        raise MalformedUploadError(
            f"unexpected field {quoted(name)}: send files, named {files}, and at most one "
            f"{MASK_FIELD!r} and one {GROUPS_FIELD!r}"
        )

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_groups:
            self._writer.write(data[start:end])
            return
        assert self.groups is not None
        self.groups += data[start:end]
        most = self._writer.limits.label_bytes
        if len(self.groups) > most:
            raise UploadTooLargeError(
                f"groups has more than {most} bytes, for at most {self._writer.limits.images} "
                "images (max_job_images): name fewer, or take groups from folders"
            )

    def _end(self) -> None:
        if not self._is_groups:
            self._writer.end()

    def _finish(self) -> None:
        self.ended = True


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")
