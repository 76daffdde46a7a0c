"""Untrusted bytes to a uint8 RGB array (h, w, 3), or a reason why not.

The header is read first (Pillow, five formats only), so that size and kind are known before any
pixel is decoded. Then: EXIF orientation is applied; grey, palette and CMYK become RGB; 16-bit grey
is scaled by 1/257; what is transparent becomes white; animations and several pages are refused.
JPEG pixels come from simplejpeg, everything else, JPEG in CMYK too, from Pillow.

A JPEG that is decoded to be resized to a square of s pixels is decoded at the smallest of the
scales 1/8, 2/8, 3/8, 4/8 that leaves both sides whole and at least ``OVERSAMPLING`` s, if one
does: libjpeg then leaves the high frequencies of each block out of its inverse cosine transform.
At twice s the resized picture differs from that of a full decode by 0.2 to 1 grey levels; with
sides that are not whole the edges would move by part of a pixel, which is up to four levels.
Scales above 4/8 cost more than the whole picture.
"""

import io
import warnings
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from detector.errors import (
    ImageTooLargeError,
    SampleError,
    UndecodableImageError,
    UnsupportedImageError,
)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
_EXIF_ORIENTATION = 0x0112
_TURNED = {5, 6, 7, 8}
OVERSAMPLING = 2
"""How many times the side of what is embedded a scaled JPEG has at least. Rows depend on it, so
``models.preprocess.VERSION`` names it."""

# Our own limit on pixels applies, read from the header; Pillow's would warn on top of it.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of damaged metadata, once per place in its code; strangers' files are full of it.
warnings.filterwarnings("ignore", module=r"PIL\.")

Pixels = NDArray[np.uint8]


def decode(content: bytes, *, max_pixels: int, min_side: int, side_px: int | None = None) -> Pixels:
    """Return the image in ``content`` as RGB.

    Args:
        content: the file.
        max_pixels: most that it may have, width times height.
        min_side: fewest that each side must have.
        side_px: of the square that the image will be resized to; a large JPEG may then come at
            a fraction of its size. None for all of its pixels.

    Raises:
        UndecodableImageError: if it is empty, truncated, damaged or not an image.
        UnsupportedImageError: if its format, mode, frames or smallness are not accepted.
        ImageTooLargeError: if it has more than ``max_pixels``.
        MemoryError: if there is too little for it now.
    """
    if not content:
        raise UndecodableImageError("the image is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check(image, max_pixels, min_side)
            return _pixels(image, content, side_px)
    except (SampleError, MemoryError):  # the latter no fault of the image
        raise
    except UnidentifiedImageError as error:
        raise UndecodableImageError(f"not an image of the formats {', '.join(FORMATS)}") from error
    except Exception as error:  # a decoder fed by strangers fails in many ways, all of them theirs
        raise UndecodableImageError(f"the image cannot be decoded: {error}") from error


def shape(content: bytes) -> tuple[int, int]:
    """Return the height and width that ``decode`` gives an image in full, by its header."""
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size  # of a TIFF, Pillow tells that of the picture as it is turned
        turned = image.format != "TIFF" and _orientation(image) in _TURNED
        return (width, height) if turned else (height, width)


def is_transparent(content: bytes) -> bool:
    """Whether an image can be seen through anywhere; False for what is no image."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.has_transparency_data
    except Exception:  # as for decode, which says what is wrong
        return False


def _check(image: Image.Image, max_pixels: int, min_side: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        limit = f"{width} x {height} pixels exceed the limit of {max_pixels}"
        raise ImageTooLargeError(f"{limit}: send a smaller image")
    if min(width, height) < min_side:
        small = f"{width} x {height} pixels: each side must have at least {min_side}"
        raise UnsupportedImageError(small)
    if getattr(image, "is_animated", False):  # n_frames would walk all pages of a TIFF
        raise UnsupportedImageError("an animation or several pages: send one picture at a time")


def _pixels(image: Image.Image, content: bytes, side_px: int | None) -> Pixels:
    if image.format == "JPEG" and image.mode in {"RGB", "L"}:
        width, height = image.size
        eighths = 8 if side_px is None else _eighths(width, height, side_px)
        pixels: Pixels = simplejpeg.decode_jpeg(
            content,
            colorspace="RGB",
            min_height=height * eighths // 8,
            min_width=width * eighths // 8,
        )
    else:
        pixels = np.array(_rgb(image))
    # The orientation is asked last, for Pillow turns a TIFF, and forgets its tag, as it loads it.
    return np.ascontiguousarray(_oriented(pixels, _orientation(image)))


def _eighths(width: int, height: int, side_px: int) -> int:
    """Return at which scale, in eighths, a JPEG is decoded to be resized to this side."""
    for eighths in (1, 2, 3, 4):
        is_whole = width * eighths % 8 == height * eighths % 8 == 0
        if is_whole and min(width, height) * eighths >= 8 * OVERSAMPLING * side_px:
            return eighths
    return 8


def _orientation(image: Image.Image) -> Any:
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged metadata is no reason to refuse a picture
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        grey = np.asarray(image, dtype=np.float64) / 257
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        raise UnsupportedImageError("32-bit grey has no fixed range: send 8 or 16 bits per channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _oriented(pixels: Pixels, orientation: Any) -> Pixels:
    """Apply the EXIF orientation 1..8 (anything else is ignored, as Pillow does)."""
    if orientation in _TURNED:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels
