"""The convolution unit: its formula on either side of the activation, and its errors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from torch.nn import functional

from models.families.units import (
    POSITIONS,
    ConvUnit,
    ImageNetwork,
    Position,
    require_one_of,
    require_positive,
)
from models.squeeze_excite import SqueezeExcite


class Fixed(nn.Module):
    """Multiplies every channel by a constant of its own: a gate that hears nothing."""

    def __init__(self, gates: Tensor) -> None:
        super().__init__()
        self.gates = gates

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gates[:, None, None]


def unit(gate: nn.Module, position: Position) -> ConvUnit:
    """A unit from 3 to 8 channels; the same weights for every gate and position."""
    torch.manual_seed(5)
    made = ConvUnit(3, 8, 3, gate=gate, position=position)
    norm = made.get_submodule("norm")
    for value in norm.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.5, 1.5)
    return made.eval().requires_grad_(False)


def normalised(made: ConvUnit, x: Tensor) -> Tensor:
    """The formula of convolution and batch normalisation, from the unit's values."""
    values = made.state_dict()
    u = functional.conv2d(x, values["conv.weight"], padding=1)
    mean, variance, weight, bias = (
        values[f"norm.{name}"][:, None, None]
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    return (u - mean) / torch.sqrt(variance + 1e-5) * weight + bias


def gated(block: SqueezeExcite, u: Tensor) -> Tensor:
    """The formula of the SE block, from its values."""
    w = block.state_dict()
    s = u.mean(dim=(2, 3))
    z = torch.relu(s @ w["excite.reduce.weight"].T + w["excite.reduce.bias"])
    g = torch.sigmoid(z @ w["excite.expand.weight"].T + w["excite.expand.bias"])
    return g[:, :, None, None] * u


@given(
    gates=st.lists(st.floats(2**-20, 1, width=32), min_size=8, max_size=8), seed=st.integers(0, 9)
)
def test_one_gate_before_or_after_the_relu_is_the_same_bit_for_bit(
    gates: list[float], seed: int
) -> None:
    """Law: relu(g x) = g relu(x) for g > 0."""
    gate = Fixed(torch.tensor(gates))
    x = 3 * torch.randn(2, 3, 6, 5, generator=torch.Generator().manual_seed(seed))
    before, after = (unit(gate, position)(x) for position in POSITIONS)

    assert (after > 0).any()
    assert (after == 0).any()
    assert torch.equal(before, after)


@pytest.mark.parametrize("position", POSITIONS)
def test_unit_equals_its_formula(position: Position) -> None:
    """Reference: the formula in plain tensor operations, with an SE block that hears its side."""
    block = SqueezeExcite(8, 2)
    x = torch.randn(4, 3, 6, 5)
    made = unit(block, position)
    u = normalised(made, x)
    sides = {"before": torch.relu(gated(block, u)), "after": gated(block, torch.relu(u))}

    torch.testing.assert_close(made(x), sides[position], rtol=1e-5, atol=1e-6)
    assert (sides["before"] - sides["after"]).abs().max() > 1e-3


@pytest.mark.parametrize(("stride", "sides"), [(1, (7, 6)), (2, (4, 3))])
@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_sides_are_divided_by_the_stride_and_rounded_up(
    kernel: int, stride: int, sides: tuple[int, int]
) -> None:
    """Contract: p = ceil(h / stride), whatever the kernel."""
    assert ConvUnit(3, 4, kernel, stride=stride)(torch.zeros(2, 3, 7, 6)).shape == (2, 4, *sides)


def test_linear_unit_cuts_nothing_off() -> None:
    """Contract: it has no ReLU."""
    linear = ConvUnit(3, 4, 1, linear=True)

    assert [name for name, _ in linear.named_children()] == ["conv", "norm"]
    assert linear(torch.randn(4, 3, 5, 5)).min() < 0


def test_unknown_position_is_refused() -> None:
    """Contract: by its type in tests, by name elsewhere."""
    with pytest.raises(TypeCheckError):
        ConvUnit(3, 4, 3, position="beside")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="position must be one of before, after, got beside"):
        require_one_of("position", "beside", POSITIONS)


@pytest.mark.parametrize("size", [0, -1, 0.0, float("nan")])
def test_sizes_that_are_not_positive_are_named(size: float) -> None:
    """Contract: the error names the size and what was given."""
    with pytest.raises(ValueError, match=f"width must be positive, got {size}"):
        require_positive(classes=1, width=size)


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (3, 8, 8), (2, 3, 8, 8, 1)])
def test_images_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """Contract: the error names the wanted and the given shape."""
    network = ImageNetwork(nn.Identity(), [ConvUnit(3, 4, 3)], 4, 2)

    with pytest.raises(ValueError, match=r"\(b, 3, h, w\), got \(") as error:
        network(torch.zeros(shape))
    assert str(shape) in str(error.value)


def test_logits_are_one_linear_map_of_the_mean() -> None:
    """Reference: the formula, from the last stage's map."""
    network = ImageNetwork(nn.Identity(), [ConvUnit(3, 4, 3)], 4, 2).requires_grad_(False)
    x = torch.randn(5, 3, 6, 7)
    weight, bias = network.classifier.weight, network.classifier.bias

    expected = network.forward_features(x).sum(dim=(2, 3)) / 42 @ weight.T + bias

    torch.testing.assert_close(network(x), expected)
