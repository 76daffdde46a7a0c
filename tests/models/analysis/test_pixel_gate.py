"""The gate at every pixel against the block with a squeeze, convolutions and published cost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models.analysis.cost import SeCost, se_cost
from models.analysis.pixel_gate import pixel_gate, pixel_gate_cost
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped

SE_RESNET_50 = [(256, 56)] * 3 + [(512, 28)] * 4 + [(1024, 14)] * 6 + [(2048, 7)] * 3
"""Channels and side of each block (Hu et al., arXiv:1709.01507, table 1)."""


def twins(channels: int, reduction: int) -> tuple[SqueezeExcite, SqueezeExcite]:
    """A block with a squeeze and one without, with the same weights, in float64."""
    block, pixels = SqueezeExcite(channels, reduction).double(), pixel_gate(channels, reduction)
    pixels.double().load_state_dict(block.state_dict())
    return block, pixels


@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(2, 8),
    places=st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_equals_the_block_on_constant_maps_and_pixel_by_pixel(
    seed: int, channels: int, places: list[int]
) -> None:
    """Law: on constant maps the two agree; on any, each place is a map of one place."""
    torch.manual_seed(seed)
    block, pixels = twins(channels, 2)
    level = torch.randn(3, channels, *[1] * len(places), dtype=torch.float64)
    constant = level.expand(3, channels, *places)
    x = torch.randn(3, channels, *places, dtype=torch.float64)

    torch.testing.assert_close(pixels(constant), block(constant), rtol=1e-12, atol=1e-14)
    each = [block(place[..., None]) for place in x.flatten(2).unbind(dim=2)]
    torch.testing.assert_close(pixels(x).flatten(2), torch.cat(each, dim=2), rtol=1e-12, atol=1e-14)


def test_equals_two_convolutions_of_kernel_1() -> None:
    """Reference: torch's convolutions with the same weights."""
    torch.manual_seed(0)
    _, pixels = twins(6, 2)
    reduce, expand = nn.Conv2d(6, 3, 1).double(), nn.Conv2d(3, 6, 1).double()
    for conv, linear in ((reduce, pixels.excite.reduce), (expand, pixels.excite.expand)):
        conv.load_state_dict(
            {"weight": linear.weight[:, :, None, None].detach(), "bias": linear.bias}
        )
    x = torch.randn(2, 6, 4, 5, dtype=torch.float64)

    expected = x * torch.sigmoid(expand(torch.relu(reduce(x))))

    torch.testing.assert_close(pixels(x), expected, rtol=1e-12, atol=1e-14)


def test_differs_from_the_block_on_other_maps_and_sees_one_place_only() -> None:
    """Law: a change at one place leaves all others alone, where the block's gate moves them all."""
    torch.manual_seed(1)
    block, pixels = twins(8, 2)
    x = torch.randn(1, 8, 5, 5, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 2, 3] += 3
    elsewhere = torch.ones(5, 5, dtype=torch.bool)
    elsewhere[2, 3] = False

    assert torch.equal(pixels(changed)[..., elsewhere], pixels(x)[..., elsewhere])
    assert ((block(changed) - block(x))[..., elsewhere].abs() > 1e-6).all()


@given(channels=st.integers(1, 16), places=st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_excitation_costs_as_often_as_there_are_places(
    channels: int, places: tuple[int, int]
) -> None:
    """Reference: torch's FlopCounterMode; parameters are those of the block."""
    pixels = pixel_gate(channels, 1)
    cost, block = pixel_gate_cost(channels, 1, places), se_cost(channels, 1, places)

    with FlopCounterMode(display=False) as counter:
        pixels(torch.randn(1, channels, *places))

    assert cost.excitation == counter.get_total_flops() / 2
    assert cost.excitation == places[0] * places[1] * block.excitation
    assert cost.parameters == sum(p.numel() for p in pixels.parameters()) == block.parameters
    assert (cost.squeeze, cost.scale) == (0, block.scale)


def test_in_resnet_50_it_costs_what_was_published() -> None:
    """Reference: Hu et al., table 16: 4.27 thousand million FLOPs, 28.1 million parameters.

    The plain network has 3.858 thousand million (``test_network_cost`` counts it).
    """
    added = sum((pixel_gate_cost(c, 16, (side, side)) for c, side in SE_RESNET_50), SeCost())

    assert round(3.858 + added.macs / 1e9, 2) == 4.27
    assert round(25.6 + added.parameters / 1e6, 1) == 28.1


def test_taps_read_it() -> None:
    """Contract: it is one of our blocks; its tap holds the mean gate over the places."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), pixel_gate(8, 4))
    x = torch.randn(2, 3, 7, 6)

    tap = Tapped(network)(x).blocks["1"]

    inner = network[0](x)
    torch.testing.assert_close(tap.gate, (network[1](inner) / inner).mean(dim=(2, 3)))


def test_other_shapes_and_ratios_are_refused() -> None:
    """Contract: errors name what is wanted and what was given."""
    with pytest.raises(ValueError, match=r"x must be \(b, 8, \*places\).* got \(2, 6, 4, 4\)"):
        pixel_gate(8, 4)(torch.randn(2, 6, 4, 4))
    with pytest.raises(ValueError, match=r"takes no context, got \(2, 3\)"):
        pixel_gate(8, 4)(torch.randn(2, 8, 4, 4), context=torch.randn(2, 3))
    with pytest.raises(ValueError, match="got 9"):
        pixel_gate(8, 9)
    with pytest.raises(ValueError, match="got 9"):
        pixel_gate_cost(8, 9, (2, 2))
