"""A job's samples as JSON, into its spool: one on every line (NDJSON), or one that is JSON itself.

A line is read, checked and written before the next is, so memory holds one at a time.
"""

import binascii
from typing import IO

from app.errors import MalformedUploadError, UnsupportedMediaTypeError, UploadTooLargeError
from app.images.documents import content_of, is_batch, line_of
from app.images.sources import JSON, NDJSON
from app.intake.spool_writer import SpoolWriter
from app.schemas.images import ImageLine, SampleLine

SLACK_BYTES = 2**16
"""Of a line around its sample: name, group and what JSON needs."""


def read_lines(body: IO[bytes], writer: SpoolWriter) -> None:
    """Write the samples of lines to a spool; blank ones are passed over.

    Raises:
        RequestValidationError: if a line is not as described.
        MalformedUploadError: if a file is no base64.
        InvalidGroupError: if a group cannot be kept.
        TooManyImagesError, UploadTooLargeError: if they are over a limit.
        RefusedMemberError: if a sample is an archive.
    """
    form: type[ImageLine | SampleLine] = SampleLine if writer.kind.json else ImageLine
    most = 2 * writer.limits.image_bytes + SLACK_BYTES  # base64 needs 4/3, spaces in JSON more
    number = 0
    while line := body.readline(most + 1):
        number += 1
        if len(line) > most:
            raise UploadTooLargeError(
                f"line {number} has more than {most} bytes, twice those of one sample "
                "(max_image_bytes): send a smaller one"
            )
        if not line.strip():
            continue
        sample = line_of(form, line, number)
        writer.begin(sample.name, group=sample.group)
        try:
            writer.write(content_of(sample.data))
        except (binascii.Error, ValueError) as error:
            raise MalformedUploadError(f"line {number}: data is no base64: {error}") from error
        writer.end()


def read_document(body: IO[bytes], writer: SpoolWriter) -> None:
    """Write the one sample that a JSON document is to a spool.

    Raises:
        UnsupportedMediaTypeError: if it is a document of many.
        UploadTooLargeError: if it is over a limit.
    """
    most = writer.limits.image_bytes
    content = body.read(most + 1)
    writer.begin("")
    writer.write(content)  # which refuses what is too long
    if is_batch(content):
        raise UnsupportedMediaTypeError(
            f"{JSON} is one sample here: send many one a line, as {NDJSON}"
        )
    writer.end()
