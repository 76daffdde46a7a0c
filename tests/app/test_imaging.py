"""Untrusted bytes become RGB pixels: colours, depths, transparency and orientation."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from image_helpers import LOSSLESS, Pixels, encode, exif
from PIL import Image, ImageOps

from detector import imaging

FORMATS = list(imaging.FORMATS)


def decode(content: bytes) -> Pixels:
    pixels = imaging.decode(content, max_pixels=1_000_000, min_side=16)
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.flags.c_contiguous
    return pixels


@pytest.fixture(scope="module")
def photograph(photographs: list[Pixels]) -> Pixels:
    """The corner of a photograph: no symmetry, two different sides."""
    return np.ascontiguousarray(photographs[0][:150, 100:300])


@pytest.fixture(scope="module")
def alpha() -> Pixels:
    """Every opacity, changing in two directions, (150, 200)."""
    return np.add.outer(np.arange(150), np.arange(200)).astype(np.uint8)


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_give_the_photograph_back(kind: str, photograph: Pixels) -> None:
    """Law: what was encoded without loss is decoded to the same pixels."""
    np.testing.assert_array_equal(decode(encode(photograph, kind, **LOSSLESS[kind])), photograph)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("JPEG", {"progressive": True}), ("JPEG", {"subsampling": 0}), ("WEBP", {})],
)
def test_lossy_formats_are_near_the_photograph_and_pillow(
    kind: str, options: dict[str, object], photograph: Pixels
) -> None:
    """Reference: Pillow's decoder; a JPEG decoder may round otherwise, by some levels at most."""
    content = encode(photograph, kind, quality=95, **options)
    pixels = decode(content).astype(float)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert np.abs(pixels - expected).max() <= 8
    assert np.abs(pixels - expected).mean() < 0.5
    assert np.abs(pixels - photograph).mean() < 3


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 255, 0), (0, 0, 255)])
def test_channels_are_red_green_blue(kind: str, colour: tuple[int, int, int]) -> None:
    """Contract: a red picture is red, whatever decoder read it."""
    pixels = decode(encode(Image.new("RGB", (40, 30), colour), kind))
    assert pixels.shape == (30, 40, 3)
    np.testing.assert_allclose(pixels.reshape(-1, 3), np.tile(colour, (1200, 1)), atol=3)


@pytest.mark.parametrize("kind", FORMATS)
def test_grey_becomes_three_equal_channels(kind: str, photograph: Pixels) -> None:
    """Contract: a grey picture is grey in all channels."""
    grey = Image.fromarray(photograph).convert("L")
    pixels = decode(encode(grey, kind, **LOSSLESS.get(kind, {"quality": 95})))
    assert (pixels == pixels[:, :, :1]).all()
    assert np.abs(pixels[:, :, 0] - np.asarray(grey).astype(float)).mean() < 2


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_is_black_and_white(kind: str, photograph: Pixels) -> None:
    """Contract: of one bit per pixel, the bits are 0 and 255."""
    bits = Image.fromarray(photograph).convert("1")
    pixels = decode(encode(bits, kind))
    np.testing.assert_array_equal(pixels[:, :, 1], np.where(np.asarray(bits), 255, 0))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_equals_pillow(kind: str, photograph: Pixels) -> None:
    """Reference: Pillow's conversion; inks that are inverted in the file come out right."""
    content = encode(Image.fromarray(photograph).convert("CMYK"), kind)
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    pixels = decode(content)
    np.testing.assert_array_equal(pixels, expected)
    assert np.abs(pixels - photograph.astype(float)).mean() < 5


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_sixteen_bit_grey_is_scaled_over_its_whole_range(kind: str, mode: str) -> None:
    """Reference: round(v / 257) of every 16-bit value; 0 stays 0 and 65535 becomes 255."""
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    order = ">u2" if mode.endswith("B") else "<u2"
    image = Image.frombytes(mode, (256, 256), values.astype(order).tobytes())
    pixels = decode(encode(image, kind))
    np.testing.assert_array_equal(pixels[:, :, 0], np.rint(values / 257).astype(np.uint8))
    assert pixels[0, 0, 0] == 0
    assert pixels[-1, -1, 0] == 255


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_palette_gives_its_colours(kind: str, photograph: Pixels) -> None:
    """Contract: indices are looked up, not shown."""
    palette = Image.fromarray(photograph).quantize(64)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(decode(encode(palette, kind)), expected)


def test_transparent_palette_entries_become_white(photograph: Pixels) -> None:
    """Contract: with one transparent index, and with an opacity per index."""
    palette = Image.fromarray(photograph).quantize(4)
    colours = np.asarray(palette.convert("RGB")).astype(float)
    index = np.asarray(palette)
    opacity = np.array([0, 85, 170, 255]) / 255
    mixed = opacity[index][:, :, None] * colours + (1 - opacity[index][:, :, None]) * 255
    many = decode(encode(palette, "PNG", transparency=bytes([0, 85, 170, 255])))
    np.testing.assert_allclose(many, mixed, atol=1)
    one = decode(encode(palette, "PNG", transparency=2))
    np.testing.assert_array_equal(one, np.where((index == 2)[:, :, None], 255, colours))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_composed_on_white(kind: str, photograph: Pixels, alpha: Pixels) -> None:
    """Reference: a c + (1 - a) 255, to within a level of rounding."""
    image = Image.fromarray(np.dstack([photograph, alpha]))
    opacity = alpha[:, :, None] / 255
    expected = opacity * photograph + (1 - opacity) * 255
    np.testing.assert_allclose(decode(encode(image, kind, **LOSSLESS[kind])), expected, atol=1)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha_is_composed_on_white(kind: str, photograph: Pixels, alpha: Pixels) -> None:
    """Reference: the same formula for one channel of grey."""
    grey = np.asarray(Image.fromarray(photograph).convert("L"))
    image = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
    expected = alpha / 255 * grey + (1 - alpha / 255) * 255
    pixels = decode(encode(image, kind))
    for channel in range(3):
        np.testing.assert_allclose(pixels[:, :, channel], expected, atol=1)


def test_transparent_colour_becomes_white() -> None:
    """Contract: a PNG may name one colour that is transparent."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, 16:] = (10, 20, 30)
    pixels = decode(encode(picture, "PNG", transparency=(10, 20, 30)))
    assert (pixels[:, :16] == 0).all()
    assert (pixels[:, 16:] == 255).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_equals_pillow(kind: str, orientation: int, photograph: Pixels) -> None:
    """Reference: ImageOps.exif_transpose, for every orientation a camera writes."""
    content = encode(photograph, kind, exif=exif(orientation))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    pixels = decode(content)
    expected = np.asarray(upright).astype(float)
    assert pixels.shape == expected.shape
    assert pixels.shape[0] == (200 if orientation > 4 else 150)
    assert np.abs(pixels - expected).max() <= 8  # a wrong turn differs by a hundred and more


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_turned_as_well(kind: str) -> None:
    """Contract: orientation 6 turns the top row into the right column, whatever the depth."""
    ramp = np.repeat(np.arange(32, dtype=np.uint16)[:, None] * 2000, 48, axis=1)
    pixels = decode(encode(Image.fromarray(ramp), kind, exif=exif(6)))
    assert pixels.shape == (48, 32, 3)
    np.testing.assert_array_equal(pixels[0, :, 0], np.rint(ramp[::-1, 0] / 257))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_orientations_that_do_not_exist_are_ignored(
    kind: str, orientation: int, photograph: Pixels
) -> None:
    """Contract: as Pillow ignores them."""
    turned = decode(encode(photograph, kind, exif=exif(orientation)))
    np.testing.assert_array_equal(turned, decode(encode(photograph, kind)))


DAMAGED = {
    "no header": b"Exif\0\0garbage and more garbage",
    "no offset": b"Exif\0\0II*\0",
    "offset beyond the end": b"Exif\0\0II*\0\xff\xff\xff\x7f",
    "cut in a tag": exif(6).tobytes()[:20],
    "cut in a value": exif(6).tobytes()[:-10],
}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("damage", DAMAGED)
def test_damaged_metadata_is_no_reason_to_refuse(
    kind: str, damage: str, photograph: Pixels
) -> None:
    """Contract: the picture is whole, so it is taken, turned if an orientation can be read."""
    pixels = decode(encode(photograph, kind, exif=DAMAGED[damage]))
    plain = decode(encode(photograph, kind))
    upright = np.rot90(plain, -1) if pixels.shape != plain.shape else plain
    np.testing.assert_array_equal(pixels, upright)


def test_damaged_metadata_prints_no_warnings(tmp_path: Path, photograph: Pixels) -> None:
    """Contract: in a process with Python's own filters, nothing is written to stderr."""
    path = tmp_path / "damaged.jpg"
    path.write_bytes(encode(photograph, "JPEG", exif=DAMAGED["offset beyond the end"]))
    program = (
        "import pathlib, sys; from detector import imaging;"
        "imaging.decode(pathlib.Path(sys.argv[1]).read_bytes(), max_pixels=10**6, min_side=16)"
    )
    call = [sys.executable, "-W", "always", "-c", program, str(path)]
    assert subprocess.run(call, capture_output=True, check=True, timeout=300).stderr == b""
