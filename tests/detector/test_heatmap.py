"""Maps: to pixels as torch does it, and the region that stands out."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from detector.heatmap import upsample, worst_region
from detector.verdict import Region

NAN = np.nan


@pytest.mark.parametrize(
    ("side", "height", "width"), [(4, 8, 8), (4, 16, 12), (16, 64, 256), (16, 100, 70), (2, 2, 2)]
)
def test_upsampling_equals_torchs_bilinear(side: int, height: int, width: int) -> None:
    """Reference: torch interpolate, bilinear, pixel centres (align_corners=False); 1e-10."""
    cells = np.random.default_rng(side).random((side, side))
    tensor = torch.from_numpy(cells)[None, None]
    expected = functional.interpolate(tensor, size=(height, width), mode="bilinear")

    actual = upsample(cells, height, width)

    assert actual.shape == (height, width)
    np.testing.assert_allclose(actual, expected[0, 0].numpy(), atol=1e-10)


def test_what_is_outside_stays_outside_cell_by_cell() -> None:
    """Contract: NaN in the pixels of NaN cells and nowhere else; no value beyond the cells'."""
    cells = np.array([[1.0, NAN], [2.0, 5.0]])

    actual = upsample(cells, 6, 8)

    expected = np.kron(np.isnan(cells), np.ones((3, 4), bool))
    np.testing.assert_array_equal(np.isnan(actual), expected)
    assert (np.nanmin(actual), np.nanmax(actual)) == (1.0, 5.0)
    assert np.isnan(upsample(np.full((2, 2), NAN), 4, 4)).all()


@given(low=st.floats(-1e3, 1e3), factor=st.floats(0.1, 1e3))
def test_upsampling_keeps_the_scale(low: float, factor: float) -> None:
    """Law: never stretched per image: a map of other units is the map in other units."""
    cells = np.random.default_rng(0).random((4, 4))

    actual = upsample(low + factor * cells, 9, 9)

    np.testing.assert_allclose(actual, low + factor * upsample(cells, 9, 9), rtol=1e-6, atol=1e-6)


def region(left: int, top: int, width: int, height: int, peak: float) -> Region:
    """Return a region of a 4 x 4 map, in cells."""
    return Region(left / 4, top / 4, width / 4, height / 4, peak)


TWO = np.array([[9.0, 8, 0, 0], [0, 7, 0, 0], [0, 0, 0, 6], [0, 0, 6, 6]])
"""Two regions, of which the smaller has the peak; they touch at no side."""


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (None, region(0, 0, 2, 2, 9.0)),
        (3.0, region(0, 0, 2, 2, 9.0)),  # the middle is above the threshold
        (7.5, region(0, 0, 2, 1, 9.0)),
        (8.5, region(0, 0, 1, 1, 9.0)),
        (9.0, region(0, 0, 2, 2, 9.0)),  # the peak is not above: as without one
        (100.0, region(0, 0, 2, 2, 9.0)),
    ],
)
def test_the_region_hangs_together_around_the_peak(
    threshold: float | None, expected: Region
) -> None:
    """Contract: cells above the threshold, or above the middle of the range, by their sides."""
    assert worst_region(TWO, threshold) == expected


def test_the_region_follows_the_peak_not_the_size() -> None:
    """Contract: turned round, the other corner is named; rows are heights, columns widths."""
    turned = TWO[::-1, ::-1]
    tall = np.zeros((4, 4))
    tall[1:4, 2] = 1.0

    assert worst_region(turned, None) == region(2, 2, 2, 2, 9.0)
    assert worst_region(tall, None) == region(2, 1, 1, 3, 1.0)
    assert worst_region(tall.T, None) == region(1, 2, 3, 1, 1.0)


def test_what_is_outside_is_in_no_region_and_parts_what_it_lies_between() -> None:
    """Contract: NaN cells neither join nor count; nothing but NaN has no region."""
    row = np.zeros((4, 4))
    row[0] = [5.0, NAN, 4.0, 4.0]

    assert worst_region(row, None) == region(0, 0, 1, 1, 5.0)
    assert worst_region(np.full((4, 4), NAN), 1.0) is None
    only = np.full((4, 4), NAN)
    only[3, 1] = -2.0
    for threshold in (None, -5.0, 5.0):
        assert worst_region(only, threshold) == region(1, 3, 1, 1, -2.0)


def test_a_level_map_is_one_region() -> None:
    """Contract: where no cell stands out, all of them do."""
    for level in (-1.0, 0.0, 7.0):
        assert worst_region(np.full((4, 4), level), None) == region(0, 0, 4, 4, level)
