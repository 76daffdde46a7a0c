"""Ten thousand damaged images: a picture, or a reason why not, and nothing else ever.

Pictures of every format and of several kinds are damaged in three ways, by a seed: bits flipped
anywhere, the end cut off or the middle left out, and bytes of the first hundred, where the headers
are, replaced by those that break readers (0, 1, 127, 128, 255).
"""

import resource
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from http_helpers import calibrated, running, strict, upload
from image_helpers import Pixels, encode, exif
from PIL import Image

from detector import imaging
from detector.embedder import Embedder
from detector.errors import SampleError

COUNT = 10_000
HEAD_BYTES = 100
MAX_PIXELS = 1_000_000
MIN_SIDE = 4
GROWTH_BYTES = 150 * 2**20


@pytest.fixture(scope="module")
def originals(photographs: list[Pixels]) -> list[bytes]:
    """Small pictures: every format, and within it what its decoder treats differently."""
    picture = Image.fromarray(photographs[0]).resize((64, 48))
    alpha = picture.copy()
    alpha.putalpha(picture.convert("L"))
    deep = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    return [
        encode(picture, "JPEG", exif=exif(6)),
        encode(picture, "JPEG", progressive=True),
        encode(picture.convert("CMYK"), "JPEG"),
        encode(picture.convert("L"), "JPEG", restart_marker_rows=1),
        encode(picture, "PNG"),
        encode(alpha, "PNG"),
        encode(picture.quantize(16), "PNG", transparency=3),
        encode(deep, "PNG"),
        encode(picture, "WEBP", exif=exif(5)),
        encode(alpha, "WEBP", lossless=True),
        encode(picture, "TIFF"),
        encode(picture, "TIFF", compression="tiff_lzw"),
        encode(picture, "TIFF", compression="jpeg"),
        encode(deep, "TIFF", compression="tiff_adobe_deflate"),
        encode(picture.convert("1"), "TIFF", compression="group4"),
        encode(picture, "BMP"),
        encode(picture.quantize(16), "BMP"),
    ]


def mutations(originals: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield damaged images, every original in turn."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        content = bytearray(originals[number % len(originals)])
        size = len(content)
        match rng.integers(4):
            case 0:
                for place in rng.integers(size, size=rng.integers(1, 20)):
                    content[place] ^= 1 << int(rng.integers(8))
            case 1:
                for place in rng.integers(min(HEAD_BYTES, size), size=rng.integers(1, 6)):
                    content[place] = int(rng.choice([0, 1, 127, 128, 255]))
            case 2:
                del content[int(rng.integers(size)) :]
            case 3:
                start = int(rng.integers(size))
                del content[start : start + int(rng.integers(1, 50))]
        yield bytes(content)


def resident_bytes() -> int:
    """Return how much memory this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def outcome(content: bytes, side_px: int | None) -> str:
    """Return what became of an image, after a look at it."""
    try:
        pixels = imaging.decode(content, max_pixels=MAX_PIXELS, min_side=MIN_SIDE, side_px=side_px)
    except SampleError as error:
        return type(error).__name__
    height, width, channels = pixels.shape
    assert channels == 3
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert height * width <= MAX_PIXELS
    assert min(height, width) >= (MIN_SIDE if side_px is None else MIN_SIDE // 2)
    int(pixels.sum())  # every byte of it can be read
    return "pixels"


def test_damage_gives_pixels_or_an_image_error(originals: list[bytes]) -> None:
    """Contract: nothing else is raised, nothing warned of, no memory is kept.

    The outcomes are counted, for damage that is never survived or never found would test nothing.
    """
    outcomes: Counter[str] = Counter()
    before = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module=r"PIL\.")  # as detector.imaging has it
        for number, content in enumerate(mutations(originals, COUNT, seed=1)):
            outcomes[outcome(content, (None, 8)[number % 2])] += 1
            if number == COUNT // 10:  # libraries are loaded, allocators have grown
                before = resident_bytes()
    assert resident_bytes() - before < GROWTH_BYTES
    assert outcomes.total() == COUNT
    assert min(outcomes[kind] for kind in ("pixels", "UndecodableImageError")) > COUNT // 10
    assert min(outcomes[kind] for kind in ("UnsupportedImageError", "ImageTooLargeError")) > 10


def test_damage_never_fails_the_service(
    originals: list[bytes], tmp_path: Path, embedder: Embedder, pngs: list[bytes]
) -> None:
    """Contract: as forms, a verdict or an error each, in place; then a good image is scored."""
    damaged = list(mutations(originals, 400, seed=2))
    with running(tmp_path, embedder, max_image_pixels=MAX_PIXELS) as client:
        calibrated(client, "gravel", pngs[:40])
        for start in range(0, len(damaged), 50):
            part = damaged[start : start + 50]
            results = strict(upload(client, "gravel", "score", part))["results"]
            assert len(results) == len(part)
            for found in results:
                status = (found["problem"] or {"status": 200})["status"]
                assert status in (200, 413, 415, 422)
        (good,) = strict(upload(client, "gravel", "score", pngs[:1]))["results"]
        assert good["problem"] is None
