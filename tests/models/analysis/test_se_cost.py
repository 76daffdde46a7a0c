"""The cost of one SE block, against counted operations and published figures."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from models.analysis.cost import SeCost, se_cost
from models.squeeze_excite import SqueezeExcite

MOBILENET = (
    [(64, 112), (128, 56), (128, 56), (256, 28), (256, 28)]
    + [(512, 14)] * 6  # of these five come one after another
    + [(1024, 7), (1024, 7)]
)
"""Channels and side of what each of MobileNet's 13 separable convolutions gives
(arXiv:1704.04861, table 1)."""


class Counted:
    """A number that counts what is done with it."""

    added = multiplied = 0

    def __add__(self, other: "Counted") -> "Counted":
        Counted.added += 1
        return self

    def __mul__(self, other: "Counted") -> "Counted":
        Counted.multiplied += 1
        return self


def weighted_sum(values: list[Counted]) -> Counted:
    """One row of a matrix times these."""
    total = Counted()
    for value in values:
        total = total + Counted() * value
    return total


def counts(channels: int, bottleneck: int, places: int) -> tuple[int, int, int]:
    """Additions of the squeeze, multiplications of the excitation and of the scale, one by one."""
    x = [[Counted() for _ in range(places)] for _ in range(channels)]
    Counted.added = Counted.multiplied = 0
    squeeze = []
    for channel in x:
        total = Counted()  # zero
        for value in channel:
            total = total + value
        squeeze.append(total)
    added = Counted.added
    hidden = [weighted_sum(squeeze) for _ in range(bottleneck)]
    gates = [weighted_sum(hidden) for _ in range(channels)]
    excited, Counted.multiplied = Counted.multiplied, 0
    for gate, channel in zip(gates, x, strict=True):
        for value in channel:
            gate * value
    return added, excited, Counted.multiplied


@given(
    channels=st.integers(1, 12),
    places=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    data=st.data(),
)
def test_operations_equal_those_counted_one_by_one(
    channels: int, places: tuple[int, int], data: st.DataObject
) -> None:
    """Reference: the block in plain Python with numbers that count."""
    reduction = data.draw(st.integers(1, channels))
    cost = se_cost(channels, reduction, places)

    expected = counts(channels, channels // reduction, places[0] * places[1])

    assert (cost.squeeze, cost.excitation, cost.scale) == expected
    assert cost.macs == expected[1] + expected[2]


@settings(max_examples=20)
@given(channels=st.integers(1, 40), data=st.data())
def test_parameters_and_excitation_are_those_of_the_block(
    channels: int, data: st.DataObject
) -> None:
    """Reference: the parameters of ``SqueezeExcite``, and torch's count of what it computes."""
    reduction = data.draw(st.integers(1, channels))
    block = SqueezeExcite(channels, reduction)
    cost = se_cost(channels, reduction, (3, 2))

    with FlopCounterMode(display=False) as counter:
        block(torch.randn(1, channels, 3, 2))

    assert cost.parameters == sum(p.numel() for p in block.parameters())
    assert cost.excitation == counter.get_total_flops() / 2  # it counts 2 for each MAC


def test_without_biases_the_parameters_are_two_c_squared_over_r() -> None:
    """Law: equation 5 for one block, where r divides C."""
    assert se_cost(64, 16, bias=False).parameters == 2 * 64**2 // 16
    assert se_cost(64, 16).parameters == 2 * 64**2 // 16 + 64 // 16 + 64


def test_mobilenet_gets_the_published_increase() -> None:
    """Reference: Hu et al., table 3: 569 to 572 million FLOPs, 4.2 to 4.7 million parameters."""
    added = sum((se_cost(c, 16, (side, side)) for c, side in MOBILENET), SeCost())

    assert round(569 + added.macs / 1e6) == 572
    assert round(569 + (added.macs + added.squeeze) / 1e6) == 575  # so additions are not in it
    assert round(4.2 + added.parameters / 1e6, 1) == 4.7


@pytest.mark.parametrize("reduction", [0, 9])
def test_reduction_out_of_range_is_named(reduction: int) -> None:
    """Contract: as the block's."""
    with pytest.raises(ValueError, match=rf"reduction must be in 1\.\.8 .* got {reduction}$"):
        se_cost(8, reduction)


def test_sides_must_be_positive() -> None:
    """Contract: the error names the sides."""
    with pytest.raises(ValueError, match=r"sides must be 1 or more, got \(4, 0\)"):
        se_cost(8, 2, (4, 0))
