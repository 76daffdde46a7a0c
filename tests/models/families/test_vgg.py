"""VGG against torchvision's and its published size, and the SE block at the end of a stage."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.vgg import cfgs, make_layers

from models.families.units import POSITIONS, Position
from models.families.vgg import CONVOLUTIONS, FAMILY, Stage, Vgg
from models.gate_finder import NoGatesError, find_gates
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped

CONFIGURATIONS = {11: "A", 13: "B", 16: "D", 19: "E"}
PUBLISHED_MILLIONS = {11: 133, 13: 133, 16: 138, 19: 144}
"""Table 2 of Simonyan & Zisserman."""
FULLY_CONNECTED = (512 * 7 * 7 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 1000


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def shake(network: nn.Module) -> None:
    """Give batch normalisation values that change what it is given."""
    for value in network.state_dict().values():
        if value.dim() == 1:
            value.uniform_(0.5, 1.5)


def without_biases(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Values of torchvision for convolutions without bias: each moved into the mean behind it.

    There (conv + bias - mean) is normalised; here conv - (mean - bias).
    """
    moved = dict(state)
    for name in state:
        if name.endswith("running_mean"):
            conv = int(name.split(".")[0]) - 1
            moved[name] = state[name] - moved.pop(f"{conv}.bias")
    return moved


@pytest.mark.parametrize("depth", CONVOLUTIONS)
def test_plain_maps_equal_torchvision(depth: int) -> None:
    """Reference: torchvision's layers with the same random weights, which stand in its order."""
    torch.manual_seed(depth)
    theirs = make_layers(cfgs[CONFIGURATIONS[depth]], batch_norm=True).eval().requires_grad_(False)
    shake(theirs)
    ours = Vgg(depth, se=False).eval().requires_grad_(False)
    values = without_biases(theirs.state_dict())
    names = ours.stages.state_dict()
    ours.stages.load_state_dict(dict(zip(names, values.values(), strict=True)))
    x = torch.randn(2, 3, 64, 32)

    expected = theirs(x)

    assert expected.std() > 0.1, "a comparison of nothing"
    torch.testing.assert_close(ours.forward_features(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("depth", CONVOLUTIONS)
def test_convolutions_are_as_many_as_published(depth: int) -> None:
    """Reference: with the paper's fully connected layers, its table 2, in millions."""
    with torch.device("meta"):
        network = Vgg(depth, se=False)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    weights = sum(m.weight.numel() + m.out_channels for m in convolutions)

    assert len(convolutions) == depth - 3
    assert round((weights + FULLY_CONNECTED) / 1e6) == PUBLISHED_MILLIONS[depth]


@pytest.mark.parametrize("reduction", [1, 4, 16])
def test_every_stage_gains_two_c_squared_over_r_and_biases(reduction: int) -> None:
    """Reference: 2 c^2 / r + c / r + c for the five stages' channels."""
    with torch.device("meta"):
        gained = count(Vgg(16, reduction=reduction)) - count(Vgg(16, se=False))

    assert gained == sum(
        2 * c * c // reduction + c // reduction + c for c in (64, 128, 256, 512, 512)
    )


@pytest.mark.parametrize("depth", CONVOLUTIONS)
def test_shapes_at_every_stage(depth: int) -> None:
    """Contract: strides 2 to 32; the width doubles up to eightfold."""
    network = Vgg(depth, width=8, classes=3, reduction=2)
    x = network.stem(torch.randn(2, 3, 64, 96))
    shapes = []
    for stage in network.stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))

    assert shapes == [(8, 32, 48), (16, 16, 24), (32, 8, 12), (64, 4, 6), (64, 2, 3)]
    assert network(torch.randn(2, 3, 64, 96)).shape == (2, 3)


@pytest.mark.parametrize("convolutions", [1, 3])
@pytest.mark.parametrize("position", POSITIONS)
def test_stage_gates_its_last_convolution_alone(position: Position, convolutions: int) -> None:
    """Reference: units, gate and maximum, put together by hand."""
    torch.manual_seed(1)
    gate = SqueezeExcite(8, 2)
    stage = Stage(3, 8, convolutions, gate, position).eval().requires_grad_(False)
    shake(stage.units)
    x = torch.randn(3, 3, 8, 8)
    u = x
    for index, unit in enumerate(stage.units):
        u = unit.get_submodule("norm")(unit.get_submodule("conv")(u))
        if index < convolutions - 1:
            u = torch.relu(u)
    gated = {"before": lambda u: torch.relu(gate(u)), "after": lambda u: gate(torch.relu(u))}

    expected = functional.max_pool2d(gated[position](u), 2)

    torch.testing.assert_close(stage(x), expected, rtol=0, atol=0)
    assert (functional.max_pool2d(torch.relu(u), 2) - expected).abs().max() > 1e-2


def test_the_two_positions_differ_by_what_the_block_hears() -> None:
    """Law: with equal weights the networks differ, for the squeeze is of another map."""
    networks = [Vgg(11, width=8, classes=2, reduction=2, position=p).eval() for p in POSITIONS]
    values = dict(zip(networks[1].state_dict(), networks[0].state_dict().values(), strict=True))
    networks[1].load_state_dict(values)
    x = torch.randn(2, 3, 32, 32)

    before, after = (network(x).detach() for network in networks)

    assert (before - after).abs().max() > 1e-4


def test_taps_read_one_block_a_stage() -> None:
    """Contract: five gates, of the stages' channels, and regional squeezes of the middle ones."""
    network = FAMILY.build().eval()
    taps = Tapped(network)(*FAMILY.example(3))

    assert [tap.gate.shape for tap in taps.blocks.values()] == [
        (3, c) for c in (16, 32, 64, 128, 128)
    ]
    assert [y.shape[2] for y in taps.regional.values()] == [32, 64, 128]
    with pytest.raises(NoGatesError):
        find_gates(FAMILY.build_plain())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 12}, "depth must be one of 11, 13, 16, 19, got 12"),
        ({"width": 0}, "width must be positive, got 0"),
        ({"width": 8, "reduction": 2, "classes": 0}, "classes must be positive, got 0"),
        ({"width": 8, "reduction": 9}, r"reduction must be in 1\.\.8 .* got 9"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: dict[str, int], message: str) -> None:
    """Contract: the error names what was expected and what was given."""
    with pytest.raises(ValueError, match=message):
        Vgg(**{"depth": 11, **arguments})
