"""The picture of a map: one scale for all pictures of a detector, and its edges."""

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.results import Inspected, Judged
from app.scoring import overlay
from detector.errors import NotCalibratedError
from detector.verdict import Region, Verdict

SIDE_PX, GRID = 160, 16
CELL_PX = SIDE_PX // GRID
RED = np.array([215, 0, 20])


def verdict(cells: Any, threshold: float | None = 1.0, *, flagged: bool = False) -> Verdict:
    cells = np.asarray(cells, dtype=np.float64)
    region = Region(0.25, 0.5, 0.25, 0.125, 1.0)
    return Verdict(1.0, {}, threshold, None, None, flagged, cells=cells, region=region)


def constant(value: float) -> np.ndarray:
    return np.full((GRID, GRID), value)


def grey(level: int = 100, height: int = SIDE_PX, width: int = SIDE_PX) -> overlay.Pixels:
    return np.full((height, width, 3), level, np.uint8)


def drawn(pixels: overlay.Pixels, given: Verdict, threshold: float = 1.0) -> np.ndarray:
    """Return the pixels of the picture, signed."""
    content = overlay.png(pixels, given, threshold)
    return np.array(Image.open(io.BytesIO(content))).astype(int)


@given(
    seed=st.integers(0, 99),
    shared=st.integers(1, GRID - 1),
    threshold=st.floats(1e-3, 1e3),
    highest=st.floats(0.1, 1e6),
)
def test_paint_depends_on_the_place_alone(
    seed: int, shared: int, threshold: float, highest: float
) -> None:
    """Law: equal values are painted equally, whatever the highest of the other places."""
    rng = np.random.default_rng(seed)
    one = rng.uniform(0.5, 2, size=(GRID, GRID)) * threshold
    other = one.copy()
    other[:, shared:] = rng.uniform(0, highest * threshold, size=(GRID, GRID - shared))
    columns = slice(0, shared * CELL_PX - CELL_PX // 2)  # between centres of shared cells
    np.testing.assert_array_equal(
        drawn(grey(), verdict(one), threshold)[:, columns],
        drawn(grey(), verdict(other), threshold)[:, columns],
    )


@given(st.floats(1e-6, 1e6))
def test_the_scale_is_tied_to_the_threshold(factor: float) -> None:
    """Law: values and threshold in another unit give the same picture, to rounding."""
    cells = np.random.default_rng(0).uniform(0, 3, size=(GRID, GRID))
    picture = drawn(grey(), verdict(cells))
    scaled = drawn(grey(), verdict(cells * factor), factor)
    assert np.abs(scaled - picture).max() <= 1


def test_the_scale_is_what_was_agreed() -> None:
    """Reference: clear up to 0.8, half the strength at 1.2, full from 1.6; blended by hand."""
    for ratio in (-5.0, 0.0, 0.5, 0.8):
        np.testing.assert_array_equal(drawn(grey(), verdict(constant(ratio))), grey())
    full = np.rint(0.25 * 100 + 0.75 * RED)
    for ratio in (1.6, 2.0, 1e9):
        assert (drawn(grey(), verdict(constant(ratio))) == full).all()
    yellow = np.array([255, 215, 0])
    opacity = 0.75 * np.sqrt(0.25)
    at_threshold = (1 - opacity) * 100 + opacity * yellow
    assert np.abs(drawn(grey(), verdict(constant(1.0))) - at_threshold).max() <= 0.5 + 1e-6
    colour, opacity = (2 * yellow + RED) / 3, 0.75 * np.sqrt(0.5)
    assert (
        np.abs(
            drawn(grey(), verdict(constant(1.2))) - ((1 - opacity) * 100 + opacity * colour)
        ).max()
        <= 0.5 + 1e-6
    )


def test_more_is_never_less_painted() -> None:
    """Law: opacity over the picture grows with the value."""
    ratios = np.linspace(0.7, 1.7, 30)
    blues = [int(drawn(grey(255), verdict(constant(r)))[0, 0, 2]) for r in ratios]
    assert all(later <= earlier for earlier, later in pairwise(blues))
    assert blues[0] == 255
    assert blues[-1] < 100


@pytest.mark.parametrize("threshold", [0.0, -1.0, 5e-324])
def test_a_threshold_of_nothing_paints_what_is_above(threshold: float) -> None:
    """Contract: set by hand, it may be 0 or less; no division fails."""
    cells = constant(0.0)
    cells[:, 8:] = 1.0
    picture = drawn(grey(), verdict(cells), threshold)
    np.testing.assert_array_equal(picture[:, :70], grey()[:, :70])
    assert (picture[:, 90:] == np.rint(0.25 * 100 + 0.75 * RED)).all()


def test_only_what_is_flagged_is_framed() -> None:
    """Contract: two pixels of white inside the region's box, nothing else."""
    framed = drawn(grey(), verdict(constant(0.0), flagged=True))
    expected = grey().astype(int)
    expected[80:100, 40:80] = 255
    expected[82:98, 42:78] = 100
    np.testing.assert_array_equal(framed, expected)
    np.testing.assert_array_equal(drawn(grey(), verdict(constant(0.0))), grey())


def test_outside_the_mask_there_is_no_paint() -> None:
    """Contract: NaN is not painted, whole or in part; nor is anything when all of it is NaN."""
    cells = constant(5.0)
    cells[:8] = np.nan
    picture = drawn(grey(), verdict(cells))
    np.testing.assert_array_equal(picture[: 8 * CELL_PX], grey()[: 8 * CELL_PX])
    assert (picture[8 * CELL_PX + CELL_PX :] != 100).all()
    np.testing.assert_array_equal(drawn(grey(), verdict(constant(np.nan))), grey())


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (100, 70, (100, 70)),
        (1024, 1024, (1024, 1024)),
        (900, 1500, (614, 1024)),
        (3000, 20, (1024, 7)),
        (16, 20_000, (1, 1024)),
    ],
)
def test_a_picture_is_as_large_as_the_image_up_to_a_limit(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    """Contract: the long side is 1024 at most, the short one in proportion, never nothing."""
    cells = np.random.default_rng(0).uniform(size=(GRID, GRID))
    pixels = grey(9, height, width)
    assert drawn(pixels, verdict(cells, flagged=True)).shape == (*expected, 3)
    values = np.load(io.BytesIO(overlay.npy(pixels, verdict(cells))))
    assert (values.dtype, values.shape) == (np.float32, expected)


def test_without_a_threshold_there_are_values_only() -> None:
    """Contract: the message names the way out."""
    found = verdict(constant(1.0), threshold=None)
    inspected = Inspected("bolts", 1, Judged("", found), found, grey(), [])
    with pytest.raises(NotCalibratedError, match=r"'bolts'.*format=npy"):
        overlay.of(inspected, "png")
    assert np.load(io.BytesIO(overlay.of(inspected, "npy"))).shape == (SIDE_PX, SIDE_PX)
