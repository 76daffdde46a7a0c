"""Compound scaling: the powers, the rounding, and where the published coefficients differ."""

import re

import pytest
import timm
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models._utils import _make_divisible

from models.families import compound_scaling
from models.families.compound_scaling import (
    ALPHA,
    BETA,
    GAMMA,
    PUBLISHED,
    Scaling,
    compound,
    exponents,
    round_channels,
)


def test_coefficient_0_is_the_baseline_and_1_the_constants() -> None:
    """Law: phi = 0 is B0; phi = 1 multiplies by alpha, beta and gamma, to whole pixels."""
    assert compound(0) == PUBLISHED[0] == Scaling(1.0, 1.0, 224, 0.2)
    assert compound(1) == Scaling(width=1.1, depth=1.2, side_px=258)


@given(a=st.floats(-3, 7), b=st.floats(-3, 7))
def test_coefficients_add(a: float, b: float) -> None:
    """Law: scaling by a, then by b, is scaling by a + b."""
    both = compound(a + b)

    assert both.depth == pytest.approx(compound(a).depth * compound(b).depth)
    assert both.width == pytest.approx(compound(a).width * compound(b).width)


@pytest.mark.parametrize("phi", range(8))
def test_operations_about_double_with_each_step(phi: int) -> None:
    """Law: depth width^2 resolution^2 grows as 1.92^phi, within the rounding of the pixels."""
    scaling = compound(phi)
    operations = scaling.depth * scaling.width**2 * (scaling.side_px / 224) ** 2

    assert pytest.approx(1.92, abs=0.001) == ALPHA * BETA**2 * GAMMA**2
    assert operations == pytest.approx(1.92027**phi, rel=0.01)


@given(phi=st.floats(-4, 8))
def test_exponents_invert_the_powers(phi: float) -> None:
    """Law: one phi for all three of a compound scaling; that of the side within half a pixel."""
    depth, width, resolution = exponents(compound(phi))

    assert depth == pytest.approx(phi, abs=1e-9)
    assert width == pytest.approx(phi, abs=1e-9)
    assert resolution == pytest.approx(phi, abs=0.5 / 128 / 0.139 + 1e-9)  # d side / side, ln 1.15


def test_published_coefficients_are_no_powers_of_one_phi() -> None:
    """Law: the table in the module's docstring is what the coefficients give."""
    table = {
        row.split()[0]: [float(value) for value in row.split()[1:]]
        for row in re.findall(r"^ +((?:depth|width|pixels) +[\d. ]+)$", str(module_text()), re.M)
    }
    depth, width, resolution = zip(*map(exponents, PUBLISHED), strict=True)

    assert table["depth"] == pytest.approx(depth, abs=0.005)
    assert table["width"] == pytest.approx(width, abs=0.005)
    assert table["pixels"] == pytest.approx(resolution, abs=0.005)
    assert max(width) - max(depth) > 1  # B7 is wider than its depth would have it


def module_text() -> str:
    assert compound_scaling.__doc__ is not None
    return compound_scaling.__doc__


@pytest.mark.parametrize("index", range(8))
def test_published_sides_are_those_of_timm(index: int) -> None:
    """Reference: timm's ports of the authors' weights; widths and depths: see torchvision's."""
    port = timm.get_pretrained_cfg(f"tf_efficientnet_b{index}")

    assert port.input_size == (3, PUBLISHED[index].side_px, PUBLISHED[index].side_px)


@given(channels=st.floats(0.5, 4000))
def test_rounding_is_torchvision_s(channels: float) -> None:
    """Reference: torchvision's rounding; Law: a multiple of 8 that takes a tenth at most."""
    rounded = round_channels(channels)

    assert rounded == _make_divisible(channels, 8)
    assert rounded % 8 == 0
    assert rounded >= 0.9 * channels


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(1, 8), (12, 16), (11.99, 16), (10, 16), (20, 24), (19, 24), (35, 32)],
)
def test_rounding_by_hand(channels: float, expected: int) -> None:
    """Law: halves go up, and so does what would lose more than a tenth (10, 11.99, 19 -> 16)."""
    assert round_channels(channels) == expected


def test_blocks_are_rounded_up() -> None:
    """Law: ceil, so that a stage never loses its only block."""
    assert [Scaling(1.0, 0.1, 32).blocks(n) for n in (1, 2, 4)] == [1, 1, 1]
    assert [PUBLISHED[7].blocks(n) for n in (1, 2, 3, 4)] == [4, 7, 10, 13]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"width": 0.0}, "width must be positive, got 0"),
        ({"depth": -1.0}, "depth must be positive, got -1"),
        ({"side_px": 0}, "side_px must be positive, got 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), got 1.0"),
        ({"width": float("nan")}, "width must be positive, got nan"),
    ],
)
def test_impossible_scalings_are_refused(change: dict[str, float], match: str) -> None:
    """Contract: the message names what was received and what is expected."""
    with pytest.raises(ValueError, match=match):
        Scaling(**{"width": 1.0, "depth": 1.0, "side_px": 224, **change})
