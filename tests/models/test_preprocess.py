"""The way from pixels to the network's input, against Pillow."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from numpy.typing import NDArray
from PIL import Image

from models.preprocess import LITE0, Preprocessing

Pixels = NDArray[np.uint8]
BICUBIC = Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "bicubic")


def by_pillow(image: Pixels, side_px: int, preprocessing: Preprocessing = LITE0) -> Pixels:
    method = Image.Resampling[preprocessing.interpolation.upper()]
    resized = Image.fromarray(image).resize((side_px, side_px), method)
    return np.array(resized).transpose(2, 0, 1)


def assert_close(actual: Pixels, expected: Pixels, levels: int = 1) -> None:
    assert actual.shape == expected.shape
    assert actual.dtype == np.uint8
    assert actual.flags.c_contiguous
    difference = actual.astype(int) - expected.astype(int)
    assert int(np.abs(difference).max()) <= levels
    assert float((np.abs(difference) > 1).mean()) <= 1e-4
    if difference.size > 10_000:
        assert abs(float(difference.mean())) <= 0.03, "a bias, not rounding"


@pytest.mark.parametrize(
    ("side_px", "levels"), [(32, 1), (160, 1), (224, 1), (255, 1), (320, 2), (512, 1), (700, 2)]
)
def test_resize_equals_pillow_on_photographs(
    photographs: list[Pixels], side_px: int, levels: int
) -> None:
    """Reference: Pillow's antialiased bilinear resize, down and up, within one grey level.

    Torch's fixed-point weights are coarser than Pillow's and both axes round to uint8, so that at
    some sizes up to one value in ten thousand is two levels off.
    """
    for photograph in photographs:
        assert_close(LITE0.resize(photograph, side_px), by_pillow(photograph, side_px), levels)


@pytest.mark.parametrize(("height", "width"), [(300, 40), (40, 300), (5, 427), (160, 161)])
def test_resize_equals_pillow_on_oblong_cuts(
    photographs: list[Pixels], height: int, width: int
) -> None:
    """Reference: the same where one axis shrinks while the other grows."""
    cut = np.ascontiguousarray(photographs[3][:height, :width])

    assert_close(LITE0.resize(cut, 160), by_pillow(cut, 160))


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    side_px=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_resize_equals_pillow_on_noise(height: int, width: int, side_px: int, seed: int) -> None:
    """Reference: the same on white noise, the hardest picture, at any small size."""
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)

    assert_close(LITE0.resize(image, side_px), by_pillow(image, side_px))


def test_right_size_is_left_alone(photographs: list[Pixels]) -> None:
    """Law: an image of the wanted side keeps every pixel and shares no memory with the result."""
    image = np.ascontiguousarray(photographs[0][:200, 100:300])
    before = image.copy()

    out = LITE0.resize(image, 200)
    np.testing.assert_array_equal(out, image.transpose(2, 0, 1))
    out[:] = 0

    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("side_px", [200, 64])
def test_memory_layout_does_not_matter(photographs: list[Pixels], side_px: int) -> None:
    """Law: read-only (without a warning), mirrored and column-major arrays give the same pixels."""
    image = np.ascontiguousarray(photographs[0][:200, :200])
    expected = LITE0.resize(image, side_px)
    frozen = image.copy()
    frozen.flags.writeable = False
    mirrored = np.ascontiguousarray(image[:, ::-1])[:, ::-1]

    for same in (frozen, mirrored, np.asfortranarray(image)):
        np.testing.assert_array_equal(LITE0.resize(same, side_px), expected)


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    """Contract: under the shape checker an image is (h, w, channels)."""
    with pytest.raises(TypeCheckError):
        LITE0.resize(np.zeros(shape, np.uint8), 8)


def test_other_types_are_refused() -> None:
    """Contract: pixels are uint8, floating point is not taken for grey levels."""
    with pytest.raises(TypeCheckError):
        LITE0.resize(np.zeros((8, 8, 3), np.float32), 8)
    with pytest.raises(TypeCheckError):
        LITE0.normalise(torch.zeros(1, 3, 8, 8))


def test_normalise_maps_every_grey_level() -> None:
    """Reference: (level - 127) / 128 for all 256 levels, exact in float32."""
    levels = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    expected = (np.arange(256) - 127) / 128

    actual = LITE0.normalise(levels)

    assert actual.dtype == torch.float32
    np.testing.assert_array_equal(actual[0, 1, 0].numpy(), expected)


@pytest.mark.parametrize("side_px", [32, 160, 255, 700])
def test_bicubic_resize_equals_pillow_on_photographs(
    photographs: list[Pixels], side_px: int
) -> None:
    """Reference: Pillow's antialiased bicubic resize, clipped where it overshoots; one level."""
    for photograph in photographs:
        actual = BICUBIC.resize(photograph, side_px)
        assert_close(actual, by_pillow(photograph, side_px, BICUBIC), 2)
        assert (actual != LITE0.resize(photograph, side_px)).mean() > 0.05, "this is bilinear"


def test_normalise_takes_each_colour_by_its_own() -> None:
    """Reference: (level - mean_c) / deviation_c in float64, one mean and deviation per channel."""
    levels = torch.arange(256, dtype=torch.uint8).expand(2, 3, 1, 256)

    actual = BICUBIC.normalise(levels)

    assert actual.dtype == torch.float32
    for c in range(3):
        expected = (np.arange(256) - BICUBIC.mean[c]) / BICUBIC.deviation[c]
        np.testing.assert_allclose(actual[1, c, 0].numpy(), expected, rtol=1e-6, atol=1e-6)
