"""Tiles of triangular factors, against NumPy's product of the whole in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.scorers import tiles
from detector.scorers.tiles import Tiles

WIDTHS = st.lists(st.integers(1, 20), min_size=1, max_size=4)


def made(seed: int, widths: list[int], images: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return upper triangular factors of blocks, and rows of all blocks side by side."""
    rng = np.random.default_rng(seed)
    factors = [np.triu(rng.normal(size=(width, width))) for width in widths]
    return factors, rng.normal(size=(images, sum(widths))).astype(np.float32)


def whole(rows: np.ndarray, factors: list[np.ndarray]) -> np.ndarray:
    """Return the naive product of every block, in float64."""
    ends = np.cumsum([len(factor) for factor in factors])
    parts = np.split(rows.astype(np.float64), ends[:-1], axis=1)
    return np.concatenate([p @ f for p, f in zip(parts, factors, strict=True)], axis=1)


@given(
    seed=st.integers(0, 2**32 - 1), widths=WIDTHS, side=st.integers(1, 25), images=st.integers(0, 7)
)
def test_the_product_is_that_of_the_whole(
    seed: int, widths: list[int], side: int, images: int
) -> None:
    """Reference: float64; rtol 1e-5 of the largest. Law: an image alone is the same to the bit."""
    factors, rows = made(seed, widths, images)
    kept = Tiles(factors, side)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tiles, "IMAGES", 3)
        found = kept.product(rows)

    expected = whole(rows, factors)
    np.testing.assert_allclose(
        found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(initial=0)
    )
    for image in range(images):
        np.testing.assert_array_equal(kept.product(rows[[image]])[0], found[image])


@given(
    seed=st.integers(0, 2**32 - 1), widths=WIDTHS, side=st.integers(1, 25), images=st.integers(0, 4)
)
def test_the_transposed_product_is_that_of_the_whole(
    seed: int, widths: list[int], side: int, images: int
) -> None:
    """Reference: float64, of factors as they are kept; rtol 1e-12 of the largest."""
    factors, rows = made(seed, widths, images)
    exact = [factor.astype(np.float32).astype(np.float64) for factor in factors]

    found = Tiles(factors, side).transposed(rows.astype(np.float64))

    expected = whole(rows, [factor.T for factor in exact])
    most = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * most)


@pytest.mark.parametrize(
    ("side", "numbers"), [(32, 6 * 32**2 + 3 * 32**2), (96, 2 * 96**2), (200, 2 * 200**2)]
)
def test_tiles_of_zeros_are_not_kept(side: int, numbers: int) -> None:
    """Contract: of 96 columns 32 at a time, two thirds; of 64, three quarters."""
    squares = Tiles([np.triu(np.ones((96, 96))), np.triu(np.ones((64, 64)))], side)._squares

    assert squares.size == numbers
    assert squares.dtype == np.float32
    assert squares.flags.c_contiguous


def test_of_a_diagonal_the_tiles_on_it_are_kept() -> None:
    """Contract: all of these and no others."""
    factors = [np.diag(np.arange(1.0, 97.0)), np.diag([0.0] * 39 + [1.0])]
    kept = Tiles(factors, 32)

    assert len(kept._squares) == 3 + 2
    rows = np.arange(136, dtype=np.float32)[None]
    np.testing.assert_array_equal(kept.product(rows), whole(rows, factors))
