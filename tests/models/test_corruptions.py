"""The corruptions on which the gates are trained."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.corruptions import CLEAN_SHARE, CORRUPTIONS, corrupt

Pixels = NDArray[np.uint8]
SIZES = [(16, 16), (16, 40), (50, 16), (128, 96)]


@pytest.fixture(params=sorted(CORRUPTIONS))
def name(request: pytest.FixtureRequest) -> str:
    """Each corruption's name in turn."""
    return str(request.param)


@pytest.mark.parametrize("size", SIZES)
def test_corruption_changes_a_copy(
    name: str, size: tuple[int, int], photographs: list[Pixels]
) -> None:
    """Contract: shape and type stay, pixels change, and the input is left as it was."""
    corruption = CORRUPTIONS[name]
    for seed in range(8):
        photograph = photographs[seed % len(photographs)]
        image = np.ascontiguousarray(photograph[150 : 150 + size[0], 180 : 180 + size[1]])
        before = image.copy()

        out = corruption(image, np.random.default_rng(seed))

        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert not np.array_equal(out, before)
        np.testing.assert_array_equal(image, before)
        assert not np.shares_memory(out, image)


def test_same_seed_same_corruption(name: str, photographs: list[Pixels]) -> None:
    """Law: the generator's state decides everything; another seed gives another image."""
    image = np.ascontiguousarray(photographs[0][:64, 150:214])

    first, again, other = (
        CORRUPTIONS[name](image, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    corruption=st.sampled_from(sorted(CORRUPTIONS)),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_size_works(height: int, width: int, corruption: str, seed: int) -> None:
    """Contract: down to one pixel, on memory that may not be written to."""
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    image.flags.writeable = False

    out = CORRUPTIONS[corruption](image, np.random.default_rng(seed))

    assert out.shape == image.shape
    assert out.dtype == np.uint8


def test_local_corruptions_leave_the_rest_alone(photographs: list[Pixels]) -> None:
    """Contract: occlusion, cut-and-paste and scratches touch at most a part of the image."""
    image = np.ascontiguousarray(photographs[2][50:178, 100:228])
    for local in ("occlusion", "cut_and_paste", "scratches"):
        for seed in range(20):
            out = CORRUPTIONS[local](image, np.random.default_rng(seed))
            changed = (out != image).any(axis=2).mean()
            assert 0 < changed < 0.35, (local, seed)


def test_global_corruptions_reach_everywhere(photographs: list[Pixels]) -> None:
    """Contract: noise, blur, exposure and colour cast change something in each quarter."""
    image = np.ascontiguousarray(photographs[2][50:178, 100:228])
    for everywhere in ("noise", "blur", "exposure", "colour_cast"):
        for seed in range(5):
            changed = (CORRUPTIONS[everywhere](image, np.random.default_rng(seed)) != image).any(2)
            quarters = changed.reshape(2, 64, 2, 64).any(axis=(1, 3))
            assert quarters.all(), (everywhere, seed)


def test_white_stays_white_where_it_overflows() -> None:
    """Reference: values beyond 0..255 are clipped; half of the noise on white is invisible."""
    white = np.full((64, 64, 3), 255, np.uint8)
    for seed in range(6):
        noisy = CORRUPTIONS["noise"](white, np.random.default_rng(seed))
        cast = CORRUPTIONS["colour_cast"](white, np.random.default_rng(seed))
        factors = np.random.default_rng(seed).uniform(0.6, 1.5, size=3)

        assert float((noisy == 255).mean()) == pytest.approx(0.5, abs=0.05)
        np.testing.assert_array_equal(cast[0, 0], np.minimum(np.rint(255 * factors), 255))


def test_corrupt_is_a_function_of_the_generator(photographs: list[Pixels]) -> None:
    """Law: the same seed draws the same corruptions; the input is never written to."""
    image = np.ascontiguousarray(photographs[1][100:148, 200:248])
    before = image.copy()
    for seed in range(30):
        first, again = (corrupt(image, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert first.shape == image.shape
    np.testing.assert_array_equal(image, before)


def test_a_tenth_stays_clean(photographs: list[Pixels]) -> None:
    """Reference: the binomial with the stated share; 2000 draws, five deviations."""
    image = np.ascontiguousarray(photographs[0][100:124, 150:174])
    rng = np.random.default_rng(0)
    count = 2000

    clean = sum(np.array_equal(corrupt(image, rng), image) for _ in range(count))

    tolerance = 5 * np.sqrt(count * CLEAN_SHARE * (1 - CLEAN_SHARE))
    assert abs(clean - count * CLEAN_SHARE) < tolerance


def test_every_corruption_is_drawn(
    photographs: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the mixture uses every corruption, and sometimes two of them."""
    image = np.ascontiguousarray(photographs[0][100:124, 150:174])
    drawn: list[list[str]] = []
    for key, corruption in list(CORRUPTIONS.items()):

        def spy(
            pixels: Pixels,
            rng: np.random.Generator,
            key: str = key,
            corruption: object = corruption,
        ) -> Pixels:
            drawn[-1].append(key)
            return corruption(pixels, rng)  # type: ignore[operator]

        monkeypatch.setitem(CORRUPTIONS, key, spy)
    rng = np.random.default_rng(0)

    for _ in range(300):
        drawn.append([])
        corrupt(image, rng)

    assert {key for keys in drawn for key in keys} == set(CORRUPTIONS)
    assert {len(keys) for keys in drawn} == {0, 1, 2}
    assert all(len(set(keys)) == len(keys) for keys in drawn)
