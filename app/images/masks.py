"""Masks: which part of a picture counts, as an image or as polygons, made a uint8 array.

White (255) counts fully, black (0) not at all, grey in between; only proportions matter. Polygons
are given by corners (x, y), fractions of the picture's width and height, and count inside. A mask
is laid over a picture whatever the sizes of the two.
"""

import json
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError

from detector import imaging
from detector.errors import InvalidMaskError, SampleError

Mask = NDArray[np.uint8]
MAX_SIDE_PX = 1024
"""Masks are kept no finer than the largest picture the backbone sees."""

MAX_JSON = 2**20
"""Bytes of polygons as JSON; the most there can be, 20 of 500 corners, need less."""

Coordinate = Annotated[FiniteFloat, Field(ge=0, le=1, strict=True)]
Polygon = Annotated[list[tuple[Coordinate, Coordinate]], Field(min_length=3, max_length=500)]
Polygons = Annotated[list[Polygon], Field(min_length=1, max_length=20)]
_POLYGONS: TypeAdapter[list[list[tuple[float, float]]]] = TypeAdapter(Polygons)


def from_upload(sent: bytes | str, *, max_pixels: int) -> Mask:
    """Return the mask of an uploaded image file, or of polygons as JSON text.

    Raises:
        InvalidMaskError: if it is neither, or leaves nothing of the picture.
    """
    if isinstance(sent, bytes) and not sent.lstrip().startswith(b"["):
        return from_image(sent, max_pixels=max_pixels)
    if len(sent) > MAX_JSON:
        raise InvalidMaskError(f"polygons of {len(sent)} bytes; at most {MAX_JSON} are read")
    try:
        return from_polygons(_POLYGONS.validate_python(json.loads(sent)))
    except (ValidationError, ValueError, RecursionError) as error:
        raise InvalidMaskError(
            "the mask is neither an image nor polygons as [[[x, y], [x, y], [x, y]]] with "
            "fractions between 0 and 1"
        ) from error


def from_image(content: bytes, *, max_pixels: int) -> Mask:
    """Return the mask in an opaque image file, its brightness.

    Raises:
        InvalidMaskError: if it cannot be decoded, is transparent anywhere, or black.
    """
    try:
        if imaging.is_transparent(content):
            raise InvalidMaskError("the mask is transparent: send it in black and white, opaque")
        pixels = imaging.decode(content, max_pixels=max_pixels, min_side=1)
    except SampleError as error:
        raise InvalidMaskError(f"the mask: {error}") from error
    grey = Image.fromarray(pixels).convert("L")
    grey.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX)
    return _useful(np.array(grey))


def from_polygons(polygons: Sequence[Sequence[tuple[float, float]]]) -> Mask:
    """Return the mask that counts inside any of the polygons.

    Raises:
        InvalidMaskError: if they enclose nothing.
    """
    canvas = Image.new("L", (MAX_SIDE_PX, MAX_SIDE_PX))
    draw = ImageDraw.Draw(canvas)
    for polygon in polygons:
        draw.polygon([(x * MAX_SIDE_PX, y * MAX_SIDE_PX) for x, y in polygon], fill=255)
    return _useful(np.array(canvas))


def _useful(mask: Mask) -> Mask:
    if not mask.any():
        raise InvalidMaskError("the mask leaves nothing of the picture: white is what counts")
    return mask
