"""Panels of triangular factors, against NumPy's product of the whole in float64."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.scorers.panels import panels, product


@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(1, 20),
    width=st.integers(1, 25),
    images=st.integers(1, 5),
    groups=st.integers(1, 4),
    cells=st.integers(1, 6),
)
def test_the_product_is_that_of_the_whole(
    seed: int, d: int, width: int, images: int, groups: int, cells: int
) -> None:
    """Reference: float64; rtol 1e-5 of the largest. Law: an image alone is the same to the bit."""
    rng = np.random.default_rng(seed)
    factors = np.triu(rng.normal(size=(groups, d, d)))
    rows = rng.normal(size=(groups, images, cells, d)).astype(np.float32)
    kept = panels(factors[:, None], width)

    found = product(rows, kept)

    expected = rows.astype(np.float64) @ factors[:, None]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    for image in range(images):
        alone = product(rows[:, [image]], kept)
        np.testing.assert_array_equal(alone[:, 0], found[:, image])


@pytest.mark.parametrize("width", [32, 50, 96, 200])
def test_zeros_below_a_panel_are_not_kept(width: int) -> None:
    """Contract: of 96 columns 32 at a time, two thirds; what is kept lies as it is read."""
    kept = panels(np.triu(np.ones((2, 96, 96))), width)

    ends = np.cumsum([panel.shape[-1] for panel in kept])
    assert [panel.shape[-2] for panel in kept] == [*ends]
    assert ends[-1] == 96
    assert all(panel.flags.c_contiguous for panel in kept)
    assert {panel.dtype for panel in kept} == {np.dtype(np.float32)}
    share = sum(panel.size for panel in kept) / (2 * 96**2)
    assert share == {32: pytest.approx(2 / 3), 50: pytest.approx((50 * 50 + 46 * 96) / 96**2)}.get(
        width, 1.0
    )
