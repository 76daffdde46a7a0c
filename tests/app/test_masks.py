"""Masks from strangers: images and polygons become arrays, all else one kind of error."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_helpers import encode, png_header

from app.images import masks
from app.images.masks import MAX_SIDE_PX
from detector.errors import InvalidMaskError

SQUARE = [[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]]
TRIANGLE = [[1.0, 1.0], [0.75, 1.0], [1.0, 0.75]]
LINE = "[[[0,0],[1,0],[1,1]]]"


def read(sent: bytes | str, max_pixels: int = 4_000_000) -> masks.Mask:
    return masks.from_upload(sent, max_pixels=max_pixels)


def grey(*, height: int = 20, width: int = 30) -> np.ndarray:
    """Return a picture of all greys from black, deterministic."""
    return np.linspace(0, 255, height * width).astype(np.uint8).reshape(height, width)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_an_image_is_its_own_brightness(kind: str) -> None:
    """Law: grey levels of a lossless file are the mask, whatever its format."""
    np.testing.assert_array_equal(read(encode(grey(), kind)), grey())


def test_colours_count_by_their_brightness() -> None:
    """Reference: ITU-R 601 luma by hand, to rounding."""
    colours = np.random.default_rng(0).integers(0, 256, size=(9, 7, 3), dtype=np.uint8)
    expected = colours @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read(encode(colours, "PNG")) - expected).max() <= 1


def test_a_fine_mask_is_averaged() -> None:
    """Contract: no finer than the largest picture; its proportions and its mean stay."""
    fine = np.zeros((1024, 3072), np.uint8)
    fine[:, :1024] = 255
    mask = read(encode(fine, "PNG"))
    assert mask.shape == (341, MAX_SIDE_PX)
    assert mask.mean() == pytest.approx(fine.mean(), rel=0.01)


def test_polygons_count_inside_any() -> None:
    """Reference: half-planes evaluated at every pixel's centre; borders may go either way."""
    mask = masks.from_polygons([SQUARE, TRIANGLE])  # type: ignore[list-item]
    y, x = (np.indices(mask.shape) + 0.5) / MAX_SIDE_PX
    margin = 2 / MAX_SIDE_PX
    inside = ((x < 0.5 - margin) & (y < 0.5 - margin)) | (x + y > 1.75 + margin)
    outside = ((x > 0.5 + margin) | (y > 0.5 + margin)) & (x + y < 1.75 - margin)
    assert (mask[inside] == 255).all()
    assert (mask[outside] == 0).all()


@pytest.mark.parametrize("form", [str, str.encode, lambda text: f" \n{text}".encode()])
def test_polygons_may_be_text_or_a_file(form: Any) -> None:
    """Law: a form's field, a file and the API's list of polygons are one mask."""
    whole = masks.from_polygons([SQUARE])  # type: ignore[list-item]
    np.testing.assert_array_equal(read(form(json.dumps([SQUARE]))), whole)


HOSTILE: dict[str, bytes | str] = {
    "nothing": "",
    "no bytes": b"",
    "no JSON": "[[[0,0",
    "no polygon": "[]",
    "no corner": "[[]]",
    "two corners": "[[[0,0],[1,1]]]",
    "a corner of one number": "[[[0,0],[1,0],[1]]]",
    "a corner of three numbers": "[[[0,0],[1,0],[1,1,1]]]",
    "an object": '{"polygons": [[[0,0],[1,0],[1,1]]]}',
    "null": "null",
    "a number": "1",
    "words for numbers": '[[["0","0"],["1","0"],["1","1"]]]',
    "truth for numbers": "[[[true,false],[true,true],[false,true]]]",
    "not a number": LINE.replace("[1,1]", "[NaN,1]"),
    "infinity": LINE.replace("[1,1]", "[-Infinity,1]"),
    "beyond any double": LINE.replace("[1,1]", "[1e999,1]"),
    "a huge number": LINE.replace("[1,1]", "[1e308,1]"),
    "a little below 0": LINE.replace("[1,1]", "[-1e-300,1]"),
    "a little above 1": LINE.replace("[1,1]", "[1.0000001,1]"),
    "an integer of 5000 digits": LINE.replace("[1,1]", f"[{'9' * 5000},1]"),
    "a depth bomb": "[" * 200_000,
    "a closed depth bomb": "[" * 100_000 + "]" * 100_000,
    "a depth bomb of bytes": b"[" * 200_000,
    "a depth bomb of objects": '[{"a":' * 100_000,
    "too many corners": json.dumps([[[0, 0], [1, 0], [1, 1]] * 334]),
    "too many polygons": json.dumps([TRIANGLE] * 101),
    "polygons off the picture's last pixel": "[[[1,1],[1,1],[1,1]]]",
    "text that is no Unicode": "[\ud800]",
    "bytes that are no text": b"[\xff\xfe",
    "a black image": encode(np.zeros((9, 9), np.uint8), "PNG"),
    "a broken image": encode(grey(), "PNG")[:60],
    "an image of too many pixels": png_header(60_000, 60_000),
    "no image": b"GIF89a",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_mask_is_refused_in_words(what: str) -> None:
    """Contract: one kind of error, short, whatever came."""
    with pytest.raises(InvalidMaskError, match="the mask") as caught:
        read(HOSTILE[what])
    assert len(str(caught.value)) < 250


def test_a_mask_may_be_one_pixel_but_not_transparent() -> None:
    """Contract: as small as 1 x 1; transparent is neither black nor white, so it is refused."""
    assert read(encode(np.full((1, 1), 255, np.uint8), "PNG")).tolist() == [[255]]
    with pytest.raises(InvalidMaskError, match="transparent"):
        read(encode(np.zeros((2, 2, 4), np.uint8), "PNG"))


@given(st.binary(max_size=60), st.integers(0, 80))
def test_damaged_images_are_masks_or_errors(noise: bytes, place: int) -> None:
    """Contract: never another exception, and never a black mask."""
    content = bytearray(encode(grey(), "PNG"))
    content[place : place + len(noise)] = noise
    with contextlib.suppress(InvalidMaskError):
        assert read(bytes(content)).any()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(0, 1) | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=30,
)


@given(JSON)
def test_any_json_is_a_mask_or_an_error(value: Any) -> None:
    """Contract: as above; what is taken is an array of the agreed size."""
    with contextlib.suppress(InvalidMaskError):
        mask = read(json.dumps(value))
        assert (mask.dtype, mask.shape) == (np.uint8, (MAX_SIDE_PX, MAX_SIDE_PX))
        assert mask.any()
