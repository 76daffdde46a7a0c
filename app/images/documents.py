"""Images in base64 in JSON: one document, or a line each (NDJSON). Parsing is for a thread.

An image that is no base64 fails in its own place; a document or a line that is not as described
fails the request, and says where.
"""

import base64
import binascii
import io
import json
from collections.abc import Iterable
from typing import TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from app.errors import NoImagesError, TooManyImagesError, UndecodableImageError
from app.images.sources import Source, Upload, from_bytes, from_error
from app.intake.limits import Limits
from app.schemas.images import SentImage, SentImages
from app.schemas.new_detector import PolygonMask

M = TypeVar("M", bound=BaseModel)
MOST_ERRORS = 10
"""Told of one document; there may be one for every image."""
IMAGE_COMMAS, MASK_COMMAS = 64, 2**16
"""More than an image, name included, and the polygons of a mask have."""


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


def parse(body: bytes, limits: Limits) -> Upload:
    """Return the images of one document, and its mask.

    Raises:
        RequestValidationError: if it is not as described.
        TooManyImagesError, UploadTooLargeError: if it is over a limit.
    """
    check_size(body, limits.images)
    document = checked(SentImages, body)
    mask: bytes | str | None = None
    if isinstance(document.mask, PolygonMask):
        mask = json.dumps(document.mask.polygons)
    elif document.mask is not None:
        mask = document.mask.image
    return Upload(_sources(document.images, limits), mask)


def parse_lines(body: bytes, limits: Limits) -> Upload:
    """Return the images of a document that has one on every line; blank lines are passed over.

    Raises:
        RequestValidationError: if a line is not as described.
        NoImagesError: if there is none.
        TooManyImagesError, UploadTooLargeError: if it is over a limit.
    """
    check_size(body, limits.images)
    lines = enumerate(io.BytesIO(body), 1)
    images = (checked(SentImage, line, f"line {number}") for number, line in lines if line.strip())
    sources = _sources(images, limits)
    if not sources:
        raise NoImagesError('no image: send one on every line, {"name": ..., "data": base64}')
    return Upload(sources)


def _sources(images: Iterable[SentImage], limits: Limits) -> list[Source]:
    sources: list[Source] = []
    for image in images:
        limits.check_count(len(sources) + 1)
        sources.append(_source(image, limits))
    return sources


def _source(image: SentImage, limits: Limits) -> Source:
    try:
        content = base64.b64decode(image.data, validate=True)
    except (binascii.Error, ValueError) as error:
        return from_error(image.name, UndecodableImageError(f"the image is no base64: {error}"))
    limits.check_image(image.name, len(content))
    return from_bytes(image.name, content)
