"""Samples in JSON: one document, or a line each (NDJSON). Parsing is for a thread.

Files come in base64. Of a kind whose samples are JSON (a graph, tokens) one may also be the value
of ``data``: its compact text is the sample; and a document that is no batch is one sample itself.
A sample that is no base64 fails in its own place; a document or a line that is not as described
fails the request, and says where.
"""

import base64
import binascii
import io
import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from app.errors import NoImagesError, TooManyImagesError, UndecodableImageError
from app.images.sources import FIELDS, Source, Upload, from_bytes, from_error
from app.intake.limits import Limits
from app.schemas.images import SentImage, SentImages, SentSample, SentSamples
from app.schemas.new_detector import PolygonMask

if TYPE_CHECKING:
    from detector.kinds import Kind

M = TypeVar("M", bound=BaseModel)
MOST_ERRORS = 10
"""Told of one document; there may be one for every image."""
IMAGE_COMMAS, MASK_COMMAS = 64, 2**16
"""More than an image, name included, and the polygons of a mask have."""
JSON_VALUES = 2**18
"""Most values of samples that are JSON, in one document or on one line.

Bytes bound nothing here: so many values of the worst shape, objects in objects, take 1.6 MB and
190 MB when parsed, and 45 MB of them would take 5 GB. Files have no such bound: each kind has its
own, of nodes or tokens."""
_MARKS = (b",", b"[", b"{")
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A JSON string, or what is left of one at the end; it is never tried twice, nor remembered how."""
_OBJECT, _COLON = re.compile(rb"[ \t\r\n]*+\{"), re.compile(rb"[ \t\r\n]*+:")
_KEYS = {f'"{field}"'.encode() for field in FIELDS}
_LONGEST_KEY = max(map(len, _KEYS))


def check_size(body: bytes, most_images: int) -> None:
    """Refuse JSON that would take far more memory parsed than it has bytes, before it is parsed.

    All values but the first of an array or an object follow a comma, and base64 has none; 45 MB of
    empty arrays would otherwise become 17 GB.

    Raises:
        TooManyImagesError: if there are more values than in so many images and a mask.
    """
    if body.count(b",") > IMAGE_COMMAS * most_images + MASK_COMMAS:
        raise TooManyImagesError(
            f"the JSON has more values than {most_images} images have (max_request_images): send "
            "the rest in another request"
        )


def checked(kind: type[M], content: bytes, *where: str) -> M:
    """Return JSON as a form.

    Raises:
        RequestValidationError: if it is not as described; ``where`` is said before the field.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError(
            [{**item, "loc": ("body", *where, *item["loc"])} for item in found[:MOST_ERRORS]]
        ) from error


def check_values(body: bytes) -> None:
    """Refuse JSON with more values than samples that are JSON may have, before it is parsed.

    A value is the first of an array or an object, or follows a comma; so there are at most as many
    as commas and opening brackets, those in strings left out.

    Raises:
        TooManyImagesError: if there are more.
    """
    if _has_too_many(body):
        raise TooManyImagesError(
            f"the JSON has more than {JSON_VALUES} values: send fewer samples in one document, "
            "one on every line (NDJSON), or large ones as files"
        )


def _has_too_many(body: bytes) -> bool:
    if _marks(body, 0, len(body)) <= JSON_VALUES:
        return False
    found = at = 0
    for number, text in enumerate(_TEXT.finditer(body)):
        found += _marks(body, at, text.start())
        at = text.end()
        if (
            found > JSON_VALUES or number > 2 * JSON_VALUES
        ):  # of two strings one is a value, or more
            return True
    return found + _marks(body, at, len(body)) > JSON_VALUES


def _marks(body: bytes, start: int, end: int) -> int:
    return sum(body.count(mark, start, end) for mark in _MARKS)


def is_batch(body: bytes) -> bool:
    """Whether JSON is a document of many samples, not one that is JSON itself.

    It is if it is an object that has one of ``FIELDS``. Nothing is parsed to see that: strings are
    passed over in place, so that it takes no memory, however long they are.

    Raises:
        TooManyImagesError: as ``check_values``, if it may be.
    """
    if not _OBJECT.match(body) or not any(key in body for key in _KEYS):
        return False
    check_values(body)
    depth = at = 0
    for number, text in enumerate(_TEXT.finditer(body)):
        start, end = text.span()
        depth += body.count(b"{", at, start) + body.count(b"[", at, start)
        depth -= body.count(b"}", at, start) + body.count(b"]", at, start)
        at = end
        if number > 2 * JSON_VALUES:  # more strings than it can have: it is no JSON
            return False
        is_field = depth == 1 and end - start <= _LONGEST_KEY and body[start:end] in _KEYS
        if is_field and _COLON.match(body, end):
            return True
    return False


def parse(body: bytes, limits: Limits, kind: "Kind | None" = None) -> Upload:
    """Return the samples of one document, and its mask.

    Args:
        body: the document.
        limits: of the request.
        kind: what the samples are; None if no detector will look at them.

    Raises:
        RequestValidationError: if it is not as described.
        TooManyImagesError, UploadTooLargeError: if it is over a limit.
    """
    document: SentImages | SentSamples
    if kind is not None and not kind.json:
        check_size(body, limits.images)
        document = checked(SentImages, body)
    elif not is_batch(body):
        return Upload([from_bytes("", body)], alone=True)
    else:
        check_values(body)
        document = checked(SentSamples, body)
    mask: bytes | str | None = None
    if isinstance(document.mask, PolygonMask):
        mask = json.dumps(document.mask.polygons)
    elif document.mask is not None:
        mask = document.mask.image
    return Upload(_sources(document.images, limits), mask)


def parse_lines(body: bytes, limits: Limits, kind: "Kind | None" = None) -> Upload:
    """Return the samples of a document that has one on every line; blank lines are passed over.

    Raises:
        RequestValidationError: if a line is not as described.
        NoImagesError: if there is none.
        TooManyImagesError, UploadTooLargeError: if it is over a limit.
    """
    is_json = kind is None or kind.json
    if not is_json:
        check_size(body, limits.images)
    form: type[SentImage | SentSample] = SentSample if is_json else SentImage
    lines = enumerate(io.BytesIO(body), 1)
    samples = (line_of(form, line, number) for number, line in lines if line.strip())
    sources = _sources(samples, limits)
    if not sources:
        raise NoImagesError('no sample: send one on every line, {"name": ..., "data": base64}')
    return Upload(sources)


def line_of(form: type[M], line: bytes, number: int) -> M:
    """Return one line of NDJSON as a form.

    Raises:
        RequestValidationError: if it is not as described.
        TooManyImagesError: if it has too many values.
    """
    check_values(line)
    return checked(form, line, f"line {number}")


def content_of(data: str | dict[str, Any] | list[Any]) -> bytes:
    """Return the bytes of a sample: decoded base64, or the compact text of a JSON value.

    Raises:
        ValueError: if it is no base64.
    """
    if isinstance(data, str):
        return base64.b64decode(data, validate=True)
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def _sources(samples: Iterable[SentImage | SentSample], limits: Limits) -> list[Source]:
    sources: list[Source] = []
    for sample in samples:
        limits.check_count(len(sources) + 1)
        sources.append(_source(sample, limits))
    return sources


def _source(sample: SentImage | SentSample, limits: Limits) -> Source:
    try:
        content = content_of(sample.data)
    except (binascii.Error, ValueError) as error:
        return from_error(sample.name, UndecodableImageError(f"its data is no base64: {error}"))
    limits.check_image(sample.name, len(content))
    return from_bytes(sample.name, content)
