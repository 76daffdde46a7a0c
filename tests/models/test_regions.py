"""Averages over regions and cells, against NumPy and naive loops."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from models import pooling
from models.regions import GRID, at_size, cells

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def map_of(seed: int, height: int, width: int) -> Tensor:
    """Return a float64 map of two images and three channels."""
    return torch.from_numpy(np.random.default_rng(seed).normal(2, 1, size=(2, 3, height, width)))


def weights_of(seed: int, height: int, width: int, zero: float = 0.5) -> Tensor:
    """Return weights of which a share is zero, at least one not."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 255, size=(2, 1, height, width))
    weights[rng.random(weights.shape) < zero] = 0
    weights[:, :, rng.integers(height), rng.integers(width)] = 7
    return torch.from_numpy(weights)


def statistics(x: Tensor, weights: Tensor | None) -> tuple[Tensor, ...]:
    """Return the statistics of a map under weights of any size."""
    return pooling.statistics(x, None if weights is None else at_size(weights, *x.shape[2:]))


@given(seed=st.integers(0, 999), size=SIZES)
def test_plain_statistics_equal_numpy(seed: int, size: tuple[int, int]) -> None:
    """Reference: numpy mean, std and max over the pixels; float64."""
    x = map_of(seed, *size)

    mean, std, maximum = statistics(x, None)

    np.testing.assert_allclose(mean, x.numpy().mean(axis=(2, 3)), rtol=1e-12)
    np.testing.assert_allclose(std, x.numpy().std(axis=(2, 3)), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(maximum, x.numpy().max(axis=(2, 3)))


@given(seed=st.integers(0, 999), size=SIZES)
def test_weighted_statistics_equal_numpy(seed: int, size: tuple[int, int]) -> None:
    """Reference: numpy average with the weights; the maximum over pixels that count."""
    x, w = map_of(seed, *size), weights_of(seed, *size)

    mean, std, maximum = statistics(x, w)

    for b in range(2):
        weights = w[b, 0].numpy()
        for c in range(3):
            pixels = x[b, c].numpy()
            expected = np.average(pixels, weights=weights)
            variance = np.average((pixels - expected) ** 2, weights=weights)
            assert mean[b, c] == pytest.approx(expected, rel=1e-12)
            assert std[b, c] == pytest.approx(np.sqrt(variance), rel=1e-9, abs=1e-12)
            assert maximum[b, c] == pixels[weights > 0].max()


def test_weights_of_the_images_size_are_averaged_down() -> None:
    """Reference: a 4 x 4 map under a 32 x 32 mask; each pixel weighs the mean of its 8 x 8."""
    x, w = map_of(0, 4, 4), weights_of(0, 32, 32)
    small = w.reshape(2, 1, 4, 8, 4, 8).mean(dim=(3, 5))

    for actual, expected in zip(statistics(x, w), statistics(x, small), strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("side", [4, 16, 20, 32, 65])
def test_equal_weights_are_no_weights(side: int) -> None:
    """Law: weights of ones = no weights, in statistics and in cells; the mask is of 64 pixels."""
    x, ones = map_of(side, side, side), torch.ones(2, 1, 64, 64, dtype=torch.float64)

    for actual, expected in zip(statistics(x, ones), statistics(x, None), strict=True):
        torch.testing.assert_close(actual, expected)
    torch.testing.assert_close(cells(x, ones), cells(x, None))


@given(seed=st.integers(0, 99), factor=st.sampled_from([1e-3, 0.5, 3.0, 255.0]))
def test_only_the_proportions_of_weights_matter(seed: int, factor: float) -> None:
    """Law: all weights times one number = the same."""
    x, w = map_of(seed, 20, 20), weights_of(seed, 40, 40, zero=0.9)

    torch.testing.assert_close(cells(x, factor * w), cells(x, w), equal_nan=True)
    for actual, expected in zip(statistics(x, factor * w), statistics(x, w), strict=True):
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("pixels", [1, 2, 4])
def test_cells_of_a_finer_map_equal_loops(pixels: int) -> None:
    """Reference: a weighted numpy average over each cell's pixels, cells row by row."""
    side = GRID * pixels
    x, w = map_of(pixels, side, side), weights_of(pixels, side, side, zero=0.8)

    plain, weighted = cells(x, None), cells(x, w)

    assert plain.shape == weighted.shape == (2, GRID * GRID, 3)
    outside = 0
    for b in range(2):
        for k in range(GRID * GRID):
            top, left = (pixels * place for place in divmod(k, GRID))
            window = np.s_[top : top + pixels, left : left + pixels]
            weights = w[b, 0].numpy()[window]
            for c in range(3):
                values = x[b, c].numpy()[window]
                assert float(plain[b, k, c]) == pytest.approx(values.mean(), rel=1e-12)
                if not weights.any():
                    outside += 1
                    assert np.isnan(float(weighted[b, k, c]))
                    continue
                expected = np.average(values, weights=weights)
                assert float(weighted[b, k, c]) == pytest.approx(expected, rel=1e-9)
    assert outside > 0


@pytest.mark.parametrize("side", [1, 4, 8, 15])
def test_cells_of_a_coarser_map_are_read_between_its_pixels(side: int) -> None:
    """Reference: torch interpolate, bilinear; weighted, of w x over that of w."""
    x, w = map_of(side, side, side), weights_of(side, side, side, zero=0.0)

    def between(y: Tensor) -> Tensor:
        fine = functional.interpolate(y, size=(GRID, GRID), mode="bilinear")
        return fine.flatten(2).transpose(1, 2)

    torch.testing.assert_close(cells(x, None), between(x))
    torch.testing.assert_close(cells(x, w), between(w * x) / between(w))


@given(seed=st.integers(0, 999), side=st.integers(2, 70), mask=st.integers(16, 140))
def test_cells_are_nan_exactly_where_the_weights_vanish(seed: int, side: int, mask: int) -> None:
    """Contract: whatever the sizes of map and mask; all channels of a cell or none."""
    x, w = map_of(seed, side, side), weights_of(seed, mask, mask, zero=0.995)
    inside = functional.adaptive_avg_pool2d(w, GRID).flatten(1) > 0

    found = cells(x, w)

    np.testing.assert_array_equal(torch.isfinite(found).all(dim=2), inside)
    np.testing.assert_array_equal(torch.isnan(found).any(dim=2), ~inside)


def test_values_under_zero_weights_do_not_matter() -> None:
    """Law: whatever stands where the weights are zero, statistics and cells are the same."""
    x, w = map_of(0, 32, 32), weights_of(0, 32, 32)
    other = torch.where(w > 0, x, 1e6)

    torch.testing.assert_close(cells(other, w), cells(x, w), equal_nan=True)
    for actual, expected in zip(statistics(other, w), statistics(x, w), strict=True):
        torch.testing.assert_close(actual, expected)
