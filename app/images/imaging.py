"""Untrusted bytes to a uint8 RGB array (h, w, 3), or a reason why not.

The header is read first (Pillow, five formats only), so that size and kind are known before any
pixel is decoded. Then: EXIF orientation is applied; grey, palette and CMYK become RGB; 16-bit grey
is scaled by 1/257; what is transparent becomes white; animations and several pages are refused.
JPEG pixels come from simplejpeg, everything else from Pillow.
"""

import io
import warnings
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from app.errors import ImageError, ImageTooLargeError, UndecodableImageError, UnsupportedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff")
_EXIF_ORIENTATION = 0x0112

# Our own limit on pixels applies, read from the header; Pillow's would warn on top of it.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of damaged metadata, once per place in its code; strangers' files are full of it.
warnings.filterwarnings("ignore", module=r"PIL\.")

Pixels = NDArray[np.uint8]


def decode(content: bytes, *, max_pixels: int, min_side: int) -> Pixels:
    """Return the image in ``content`` as RGB.

    Raises:
        UndecodableImageError: if it is empty, truncated, damaged or not an image.
        UnsupportedImageError: if its format, mode, frames or smallness are not accepted.
        ImageTooLargeError: if it has more than ``max_pixels``.
    """
    if not content:
        raise UndecodableImageError("the image is empty (0 bytes)")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check(image, max_pixels, min_side)
            return _pixels(image, content)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise UndecodableImageError(f"not an image of the formats {', '.join(FORMATS)}") from error
    except Exception as error:  # a decoder fed by strangers fails in many ways, all of them theirs
        raise UndecodableImageError(f"the image cannot be decoded: {error}") from error


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


def _pixels(image: Image.Image, content: bytes) -> Pixels:
    if image.format == "JPEG" and image.mode in {"RGB", "L"}:
        pixels: Pixels = simplejpeg.decode_jpeg(content, colorspace="RGB")
    else:
        pixels = np.array(_rgb(image))
    # The orientation is asked last, for Pillow turns a TIFF, and forgets its tag, as it loads it.
    return np.ascontiguousarray(_oriented(pixels, _orientation(image)))


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
    if orientation in {5, 6, 7, 8}:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in {2, 3, 6, 7}:
        pixels = pixels[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        pixels = pixels[::-1]
    return pixels
