"""Pictures encoded and headers made by hand, for tests of what strangers may send."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
ORIENTATION = 0x0112
LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "BMP": {},
    "TIFF": {},
    "WEBP": {"lossless": True, "exact": True},
}


def encode(picture: Image.Image | NDArray[Any], kind: str, **options: Any) -> bytes:
    """Return a picture as a file of this format, by Pillow."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    """Return metadata with an orientation, and a maker's name before it."""
    made = Image.Exif()
    made[0x010F] = "a maker of cameras"
    made[ORIENTATION] = orientation
    return made


def png_header(width: int, height: int) -> bytes:
    """Return a PNG of this size that holds hardly any pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", size), chunk(b"IDAT", zlib.compress(bytes(99))), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bmp_header(width: int, height: int) -> bytes:
    """Return a BMP of this size without pixels."""
    file = b"BM" + struct.pack("<IHHI", 54, 0, 0, 54)
    return file + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def jpeg_header(width: int, height: int) -> bytes:
    """Return a JPEG whose header claims this size for a picture of 64 x 64."""
    content = bytearray(encode(np.zeros((64, 64, 3), np.uint8), "JPEG"))
    frame = content.find(b"\xff\xc0")
    content[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def webp_header(width: int, height: int) -> bytes:
    """Return a WebP with a canvas of this size and one frame of 64 x 64 in its corner."""
    frame = encode(np.zeros((64, 64, 3), np.uint8), "WEBP")[12:]

    def less_one(side: int) -> bytes:
        return struct.pack("<I", side - 1)[:3]

    place = bytes(6) + less_one(64) + less_one(64) + bytes(4)
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + less_one(width) + less_one(height)
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body += b"ANMF" + struct.pack("<I", len(place + frame)) + place + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff_pages(width: int, height: int, pages: int, pixels: bytes) -> bytes:
    """Return a TIFF, 8-bit grey, with so many pages that share the same pixels."""
    tags = 9
    page_bytes = 2 + 12 * tags + 4
    start = 8 + pages * page_bytes
    entries = (
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, start),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, min(width * height, 2**32 - 1)),
    )
    page = struct.pack("<H", tags)
    page += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    following = [8 + page_bytes * number for number in range(1, pages)] + [0]
    body = b"".join(page + struct.pack("<I", offset) for offset in following)
    return b"II*\0" + struct.pack("<I", 8) + body + pixels
