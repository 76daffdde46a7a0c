"""JPEGs decoded at a fraction of their size, for what is embedded is far smaller."""

from pathlib import Path

import numpy as np
import pytest
from image_helpers import Pixels, encode, exif
from PIL import Image

from app.bench.images import Reader
from app.errors import UndecodableImageError
from app.settings import Settings
from detector import imaging
from models import preprocess
from models.preprocess import LITE0

SIDE_PX = 64


def decode(content: bytes, side_px: int | None = None) -> Pixels:
    pixels = imaging.decode(content, max_pixels=20_000_000, min_side=1, side_px=side_px)
    assert pixels.flags.c_contiguous
    return pixels


def apart(content: bytes) -> float:
    """Return by how many grey levels, in the mean, what is embedded differs from a full decode."""
    full, scaled = (LITE0.resize(decode(content, side_px), SIDE_PX) for side_px in (None, SIDE_PX))
    return float(np.abs(full.astype(float) - scaled).mean())


@pytest.fixture(scope="module")
def photograph(photographs: list[Pixels]) -> Image.Image:
    return Image.fromarray(photographs[0])


@pytest.mark.parametrize(
    ("size", "eighths"),
    [
        ((1024, 1024), 1),
        ((1032, 1600), 1),
        ((1016, 1016), 2),
        ((1016, 2000), 2),
        ((512, 512), 2),
        ((504, 504), 3),
        ((344, 800), 3),
        ((336, 336), 4),
        ((256, 256), 4),
        ((258, 4000), 4),
        ((1026, 1026), 4),
        ((254, 4000), 8),
        ((1025, 1024), 8),
        ((1024, 1025), 8),
    ],
)
def test_the_smallest_scale_with_whole_sides_of_twice_the_side(
    photograph: Image.Image, size: tuple[int, int], eighths: int
) -> None:
    """Contract: by hand from width w and height h: n of 1, 2, 3, 4 with 8 | n w, 8 | n h and
    n min(w, h) >= 8 * 128, else all of the picture."""
    pixels = decode(encode(photograph.resize(size), "JPEG"), SIDE_PX)
    assert pixels.shape == (size[1] * eighths // 8, size[0] * eighths // 8, 3)


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"subsampling": 2}, {"progressive": True}]
)
@pytest.mark.parametrize("size", [(256, 256), (600, 400), (1200, 800), (2000, 1504), (4000, 300)])
def test_what_is_embedded_is_that_of_a_full_decode(
    photograph: Image.Image, size: tuple[int, int], options: dict[str, object]
) -> None:
    """Reference: a full decode; one grey level is what the rule costs where a picture is sharpest.

    A picture of odd sides is decoded in full, since its scaled one would end elsewhere.
    """
    assert 0 < apart(encode(photograph.resize(size), "JPEG", quality=92, **options)) < 1.2
    odd = photograph.resize((size[0] + 1, size[1] + 1))
    assert apart(encode(odd, "JPEG", quality=92, **options)) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (7, 9), (16, 16), (127, 128), (254, 600)])
def test_pictures_below_the_rule_are_decoded_in_full(
    photograph: Image.Image, size: tuple[int, int]
) -> None:
    """Contract: the same pixels, whatever the side that is wanted."""
    content = encode(photograph.resize(size), "JPEG")
    full = decode(content)
    np.testing.assert_array_equal(decode(content, SIDE_PX), full)
    np.testing.assert_array_equal(decode(content, 10_000), full)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF"])
def test_other_formats_and_cmyk_are_decoded_in_full(photograph: Image.Image, kind: str) -> None:
    """Contract: as without a side."""
    for content in (encode(photograph, kind), encode(photograph.convert("CMYK"), "JPEG")):
        np.testing.assert_array_equal(decode(content, SIDE_PX), decode(content))
        assert decode(content).shape == (512, 512, 3)


def test_grey_is_scaled_too(photograph: Image.Image) -> None:
    """Contract: three equal channels, at the same scale."""
    pixels = decode(encode(photograph.convert("L"), "JPEG"), SIDE_PX)
    assert pixels.shape == (128, 128, 3)
    assert (pixels == pixels[:, :, :1]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_to_the_scaled_picture(
    photograph: Image.Image, orientation: int
) -> None:
    """Reference: a full decode, turned; a wrong turn would differ by dozens of levels."""
    content = encode(photograph.resize((800, 512)), "JPEG", exif=exif(orientation))
    assert decode(content, SIDE_PX).shape == ((200, 128, 3) if orientation > 4 else (128, 200, 3))
    assert 0 < apart(content) < 1.2


@pytest.mark.parametrize("size", [(1024, 1024), (1025, 1025)])
def test_a_truncated_picture_is_refused_at_any_scale(
    photograph: Image.Image, size: tuple[int, int]
) -> None:
    """Contract: what is missing would be grey, and is told instead."""
    content = encode(photograph.resize(size), "JPEG")
    with pytest.raises(UndecodableImageError):
        decode(content[: len(content) // 2], SIDE_PX)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 8])
def test_shape_is_that_of_a_full_decode(
    photograph: Image.Image, kind: str, orientation: int
) -> None:
    """Contract: height and width of the upright picture, from its header."""
    content = encode(photograph.resize((300, 40)), kind, exif=exif(orientation))
    assert imaging.shape(content) == decode(content).shape[:2]


def test_the_benchmark_embeds_the_scaled_picture_and_knows_its_size(
    photograph: Image.Image, tmp_path: Path
) -> None:
    """Contract: as the service prepares it; maps lie over the picture as it is."""
    content = encode(photograph.resize((1024, 768)), "JPEG", exif=exif(6))
    (tmp_path / "a.jpg").write_bytes(content)
    reader = Reader(Settings(), LITE0.resize, SIDE_PX)
    ((prepared,),) = reader.batches([tmp_path / "a.jpg"], 1)
    expected = LITE0.resize(decode(content, SIDE_PX), SIDE_PX)
    np.testing.assert_array_equal(prepared.pixels, expected)
    assert not np.array_equal(prepared.pixels, LITE0.resize(decode(content), SIDE_PX))
    assert prepared.shape == reader.picture(tmp_path / "a.jpg").shape[:2] == (1024, 768)


def test_the_rule_is_part_of_the_fingerprint() -> None:
    """Contract: rows of other pixels are not compared with these; see ``preprocess.VERSION``."""
    assert preprocess.VERSION.endswith(f"-jpeg-{imaging.OVERSAMPLING}x")
