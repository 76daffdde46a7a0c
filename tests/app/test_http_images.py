"""Pictures of every kind, good and bad: a score, or a reason why not; never a 5xx."""

import io
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from http_helpers import Pixels, calibrated, encode, problem, result, running, send, strict, upload
from PIL import Image, ImageOps
from starlette.testclient import TestClient

from detector.embedder import Embedder

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def client(
    tmp_path_factory: pytest.TempPathFactory, embedder: Embedder, texture: list[Pixels]
) -> Iterator[TestClient]:
    with running(tmp_path_factory.mktemp("images"), embedder) as client:
        calibrated(client, "gravel", [encode(pixels) for pixels in texture[:40]], scorer="gaussian")
        yield client


@pytest.fixture(scope="module")
def picture(photographs: list[Pixels]) -> Image.Image:
    """A photograph with colours, not square."""
    return Image.fromarray(photographs[2]).resize((150, 100))


@pytest.fixture(scope="module")
def reference(client: TestClient, picture: Image.Image) -> float:
    """The picture's score as PNG."""
    return float(result(client, "gravel", encode(picture))["score"])


def score(client: TestClient, content: bytes) -> float:
    return float(result(client, "gravel", content)["score"])


def claiming(side: int) -> bytes:
    """Return a PNG of a few bytes whose header claims side x side pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\x00" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def moving(picture: Image.Image, kind: str) -> bytes:
    frames = [ImageOps.invert(picture)]
    return encode(picture, kind, save_all=True, append_images=frames)


BAD: dict[str, tuple[Callable[[Image.Image], bytes], int, str]] = {
    "zero bytes": (lambda _: b"", 422, "undecodable-image"),
    "text": (lambda _: b"Dear sir or madam,\n" * 50, 422, "undecodable-image"),
    "a script": (lambda _: b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "undecodable-image"),
    "half a PNG": (lambda p: encode(p)[:9000], 422, "undecodable-image"),
    "half a JPEG": (lambda p: encode(p, "JPEG")[:2000], 422, "undecodable-image"),
    "half a WebP": (lambda p: encode(p, "WEBP")[:2000], 422, "undecodable-image"),
    "half a TIFF": (lambda p: encode(p, "TIFF")[:9000], 422, "undecodable-image"),
    "half a BMP": (lambda p: encode(p, "BMP")[:9000], 422, "undecodable-image"),
    "a PNG header": (lambda p: encode(p)[:40], 422, "undecodable-image"),
    "a GIF": (lambda p: encode(p, "GIF"), 422, "undecodable-image"),
    "a moving GIF": (lambda p: moving(p, "GIF"), 422, "undecodable-image"),
    "1 x 1": (lambda p: encode(p.resize((1, 1))), 415, "unsupported-image"),
    "15 x 100": (lambda p: encode(p.resize((15, 100))), 415, "unsupported-image"),
    "a moving PNG": (lambda p: moving(p, "PNG"), 415, "unsupported-image"),
    "a moving WebP": (lambda p: moving(p, "WEBP"), 415, "unsupported-image"),
    "two pages": (lambda p: moving(p, "TIFF"), 415, "unsupported-image"),
    "32-bit grey": (lambda p: encode(p.convert("F"), "TIFF"), 415, "unsupported-image"),
    "50,000 x 50,000": (lambda _: claiming(50_000), 413, "image-too-large"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_is_a_4xx_and_the_next_good_one_scores(
    client: TestClient, picture: Image.Image, reference: float, kind: str
) -> None:
    """Contract: the raw body's status is the form's per-item problem; the service goes on."""
    make, status, name = BAD[kind]
    raw = problem(send(client, "gravel", make(picture)), status, name)

    good = encode(picture)
    response = upload(client, "gravel", "score", [good, make(picture), good])
    assert response.status_code == 200
    before, bad, after = strict(response)["results"]
    assert bad["verdict"] == "invalid"
    assert bad["score"] is None
    assert bad["name"] == "1.png"
    assert bad["problem"] == {key: raw[key] for key in ("type", "title", "status", "detail")}
    assert before["score"] == pytest.approx(reference, rel=1e-4)
    assert after["score"] == pytest.approx(reference, rel=1e-4)

    assert score(client, good) == pytest.approx(reference, rel=1e-6)


def as_16_bit(picture: Image.Image) -> bytes:
    return encode(Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257))


def with_alpha(picture: Image.Image) -> Image.Image:
    """The picture, its left half transparent."""
    mask = np.full((picture.height, picture.width), 255, np.uint8)
    mask[:, : picture.width // 2] = 0
    image = picture.convert("RGBA")
    image.putalpha(Image.fromarray(mask))
    return image


def half_white(picture: Image.Image) -> Image.Image:
    image = picture.copy()
    image.paste("white", (0, 0, picture.width // 2, picture.height))
    return image


# What is sent, and the plain RGB picture that must score the same.
ODD: dict[str, Callable[[Image.Image], tuple[bytes, Image.Image]]] = {
    "grey": lambda p: (encode(p.convert("L")), p.convert("L").convert("RGB")),
    "16-bit grey": lambda p: (as_16_bit(p), p.convert("L").convert("RGB")),
    "1 bit": lambda p: (encode(p.convert("1")), p.convert("1").convert("RGB")),
    "palette": lambda p: (encode(p.quantize(64)), p.quantize(64).convert("RGB")),
    "opaque alpha": lambda p: (encode(p.convert("RGBA")), p),
    "half transparent": lambda p: (encode(with_alpha(p)), half_white(p)),
    "CMYK TIFF": lambda p: (encode(p.convert("CMYK"), "TIFF"), p.convert("CMYK").convert("RGB")),
    "BMP": lambda p: (encode(p, "BMP"), p),
    "TIFF": lambda p: (encode(p, "TIFF", compression="tiff_lzw"), p),
    "WebP": lambda p: (encode(p, "WEBP", lossless=True), p),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_image_scores_as_the_plain_picture_it_shows(
    client: TestClient, picture: Image.Image, kind: str
) -> None:
    """Reference: the same picture as 8-bit RGB, converted by Pillow."""
    sent, shown = ODD[kind](picture)
    assert score(client, sent) == pytest.approx(score(client, encode(shown)), rel=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_jpeg_scores_as_its_pixels(client: TestClient, picture: Image.Image, mode: str) -> None:
    """Reference: what Pillow decodes, sent as PNG; the decoders may differ by rounding."""
    content = encode(picture.convert(mode), "JPEG", quality=95)
    with Image.open(io.BytesIO(content)) as image:
        decoded = encode(image.convert("RGB"))
    assert score(client, content) == pytest.approx(score(client, decoded), rel=1e-3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotated_image_scores_as_it_is_to_be_seen(
    client: TestClient, picture: Image.Image, kind: str, orientation: int
) -> None:
    """Reference: Pillow's exif_transpose, pixels sent upright as PNG."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encode(picture, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    with Image.open(io.BytesIO(content)) as image:
        upright = encode(ImageOps.exif_transpose(image))
    rel = 5e-4 if kind == "JPEG" else 1e-6
    assert score(client, content) == pytest.approx(score(client, upright), rel=rel)


def test_orientation_matters_here(client: TestClient, picture: Image.Image) -> None:
    """Contract: the test above can fail; each way up has a score of its own."""
    turned = [picture, *(picture.transpose(how) for how in Image.Transpose)]
    scores = [score(client, encode(image)) for image in turned]
    assert min(np.diff(sorted(scores))) > 1e-3 * max(scores)
