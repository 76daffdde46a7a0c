"""What is refused, why, and at what cost: sizes, kinds, truncation and random damage."""

import resource
import time
from collections.abc import Callable

import image_helpers as make
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_helpers import LOSSLESS, Pixels, encode
from PIL import Image

from app.errors import (
    ImageTooLargeError,
    UndecodableImageError,
    UnsupportedImageError,
)
from detector import imaging
from detector.errors import SampleError

RNG = np.random.default_rng(5)
SMALL = np.cumsum(RNG.integers(0, 9, (40, 48, 3)), axis=0).astype(np.uint8)
RAMP = np.arange(40 * 48, dtype=np.uint16).reshape(40, 48) * 30
ENCODED = {
    "jpeg": encode(SMALL, "JPEG"),
    "jpeg, progressive": encode(SMALL, "JPEG", progressive=True),
    "jpeg, grey": encode(SMALL[:, :, 0], "JPEG"),
    "jpeg, cmyk": encode(Image.fromarray(SMALL).convert("CMYK"), "JPEG"),
    "jpeg, turned": encode(SMALL, "JPEG", exif=make.exif(6)),
    "png": encode(SMALL, "PNG"),
    "png, palette": encode(Image.fromarray(SMALL).quantize(9), "PNG", transparency=bytes(5)),
    "png, 16 bits": encode(RAMP, "PNG"),
    "png, turned": encode(SMALL, "PNG", exif=make.exif(3)),
    "webp": encode(SMALL, "WEBP"),
    "webp, lossless": encode(np.dstack([SMALL, SMALL[:, :, 0]]), "WEBP", lossless=True),
    "bmp": encode(SMALL, "BMP"),
    "tiff": encode(SMALL, "TIFF"),
    "tiff, deflate": encode(SMALL, "TIFF", compression="tiff_deflate"),
    "tiff, lzw": encode(SMALL, "TIFF", compression="tiff_lzw"),
    "tiff, 16 bits": encode(RAMP, "TIFF"),
}
as_in_production = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def decode(content: bytes, max_pixels: int = 1_000_000, min_side: int = 16) -> Pixels:
    return imaging.decode(content, max_pixels=max_pixels, min_side=min_side)


def outcome(content: bytes) -> Pixels | None:
    """Return a valid picture or None for a refusal; anything else is a failure of the test."""
    try:
        pixels = decode(content)
    except SampleError:
        return None
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    assert min(pixels.shape[:2]) >= 16
    assert pixels.shape[0] * pixels.shape[1] <= 1_000_000
    return pixels


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"just words\n" * 99,
        b"\xff\xd8",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBP",
        b"BM",
        b"II*\0",
        b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'/>",
        bytes(10_000),
        encode(SMALL, "GIF"),
        encode(SMALL, "PPM"),
        make.png_header(0, 64),
    ],
    ids=lambda content: repr(content[:8]),
)
def test_what_is_no_image_is_undecodable(content: bytes) -> None:
    """Contract: the message says so in words."""
    with pytest.raises(UndecodableImageError, match=r"empty|not an image|cannot be decoded"):
        decode(content)


def _frames(kind: str) -> bytes:
    second = Image.fromarray(SMALL[::-1].copy())
    return encode(SMALL, kind, save_all=True, append_images=[second])


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "MPO"])
def test_animations_and_several_pages_are_refused(kind: str) -> None:
    """Contract: one picture is one verdict."""
    with pytest.raises(UnsupportedImageError, match="several pages"):
        decode(_frames(kind))


def test_animated_gif_is_refused() -> None:
    """Contract: as any GIF is."""
    with pytest.raises(UndecodableImageError, match="formats JPEG, PNG"):
        decode(_frames("GIF"))


def test_a_book_of_pages_is_refused_without_leafing_through_it() -> None:
    """Contract: a few megabytes of pages must not hold a thread for minutes."""
    book = make.tiff_pages(64, 64, 20_000, bytes(64 * 64))
    started_s = time.thread_time()  # of work: another thread's turn is no fault
    with pytest.raises(UnsupportedImageError, match="several pages"):
        decode(book)
    assert time.thread_time() - started_s < 2
    assert decode(make.tiff_pages(64, 64, 1, bytes(64 * 64))).shape == (64, 64, 3)


@pytest.mark.parametrize("kind", imaging.FORMATS)
def test_smallest_side_is_the_limit(kind: str) -> None:
    """Contract: 1 x 1 and one pixel too few are refused, the limit itself is taken."""
    for height, width in [(1, 1), (15, 40), (40, 15)]:
        with pytest.raises(UnsupportedImageError, match="at least 16"):
            decode(encode(np.zeros((height, width, 3), np.uint8), kind))
    assert decode(encode(np.zeros((16, 40, 3), np.uint8), kind)).shape == (16, 40, 3)


@pytest.mark.parametrize("kind", imaging.FORMATS)
def test_largest_size_is_the_limit(kind: str) -> None:
    """Contract: one pixel too many is refused, the limit itself is taken."""
    content = encode(SMALL, kind)
    with pytest.raises(ImageTooLargeError, match="48 x 40"):
        decode(content, max_pixels=40 * 48 - 1)
    assert decode(content, max_pixels=40 * 48).shape == SMALL.shape


@pytest.mark.parametrize(
    "header",
    [
        make.png_header,
        make.bmp_header,
        make.jpeg_header,
        make.webp_header,
        lambda width, height: make.tiff_pages(width, height, 1, bytes(9)),
    ],
    ids=["png", "bmp", "jpeg", "webp", "tiff"],
)
def test_bombs_are_refused_on_their_header(header: Callable[[int, int], bytes]) -> None:
    """Contract: 50,000 x 50,000 pixels cost neither time nor memory."""
    bomb = header(50_000, 50_000)
    assert len(bomb) < 10_000
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started_s = time.thread_time()
    with pytest.raises(ImageTooLargeError, match="50000 x 50000"):
        decode(bomb, max_pixels=50_000_000)
    assert time.thread_time() - started_s < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 50 * 1024


@pytest.mark.parametrize("depth", [np.float32, np.int32])
def test_grey_of_32_bits_is_refused(depth: type) -> None:
    """Contract: it has no range to scale by, so it is not guessed."""
    with pytest.raises(UnsupportedImageError, match="8 or 16 bits"):
        decode(encode(Image.fromarray(RAMP.astype(depth)), "TIFF"))


@as_in_production
@pytest.mark.parametrize("name", ENCODED)
def test_truncation_is_noticed(name: str) -> None:
    """Law: of a part of a file comes the whole picture or an error, never another picture."""
    content = ENCODED[name]
    whole = decode(content)
    lengths = {*range(1, 40), *range(0, len(content), len(content) // 40), len(content) - 1}
    for length in sorted(lengths):
        part = outcome(content[:length])
        assert part is None or np.array_equal(part, whole), length
    assert outcome(content[: len(content) // 2]) is None


@as_in_production
@settings(max_examples=500)
@given(
    name=st.sampled_from(sorted(ENCODED)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=6),
    head=st.booleans(),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_damage_is_refused_or_decoded(
    name: str, flips: list[tuple[float, int]], head: bool, kept: float
) -> None:
    """Contract: flipped bits, in the header or anywhere, and cuts: an SampleError or a picture."""
    content = bytearray(ENCODED[name])
    for place, bit in flips:
        content[int(place * (min(len(content), 200) if head else len(content)))] ^= 1 << bit
    outcome(bytes(content[: int(kept * len(content))]))


@pytest.mark.parametrize(
    ("kind", "module", "name"),
    [("JPEG", imaging.simplejpeg, "decode_jpeg"), ("PNG", Image.Image, "convert")],
)
def test_want_of_memory_is_no_fault_of_the_image(
    kind: str, module: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: it is not told to the client as a damaged image."""

    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    content = encode(SMALL, kind)
    monkeypatch.setattr(module, name, fails)
    with pytest.raises(MemoryError):
        decode(content)


def test_every_format_has_a_media_type_and_is_in_the_fuzz() -> None:
    """Contract: what is announced is what is tried here."""
    assert {f"image/{kind.lower()}" for kind in imaging.FORMATS} == set(imaging.MEDIA_TYPES)
    tried = {name.split(",")[0].upper() for name in ENCODED}
    assert tried == set(imaging.FORMATS) == {"JPEG", *LOSSLESS}
