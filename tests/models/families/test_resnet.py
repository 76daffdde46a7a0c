"""ResNet against torchvision's, SE-ResNet against timm's and the published size."""

import pytest
import timm
import torch
import torchvision
from jaxtyping import TypeCheckError
from torch import nn

from models.families.family import Family
from models.families.resnet import BLOCKS, FAMILIES, PLACEMENTS, Placement, ResNet
from models.gate_finder import NoGatesError, find_gates
from models.taps import Tapped


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def shake(network: nn.Module) -> None:
    """Give batch normalisation values that change what it is given."""
    for value in network.state_dict().values():
        if value.dim() == 1:
            value.uniform_(0.5, 1.5)


def with_values_of(ours: ResNet, theirs: nn.Module) -> ResNet:
    """Load another library's values, which stand in the same order; 1x1 convolutions as maps."""
    own, other = ours.state_dict(), theirs.state_dict()
    ours.load_state_dict(
        {
            name: value.reshape(own[name].shape)
            for name, value in zip(own, other.values(), strict=True)
        }
    )
    return ours.eval().requires_grad_(False)


def check_equal(ours: ResNet, theirs: nn.Module) -> None:
    theirs.eval().requires_grad_(False)
    shake(theirs)
    with_values_of(ours, theirs)
    x = torch.randn(2, 3, 65, 96)

    expected = theirs(x)

    assert expected.std() > 0.1, "a comparison of nothing"
    torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-4 * float(expected.std()))


@pytest.mark.parametrize("depth", [18, 50])
def test_plain_network_equals_torchvision(depth: int) -> None:
    """Reference: torchvision's resnet18 and resnet50 with the same random weights."""
    torch.manual_seed(depth)

    check_equal(ResNet(depth, se=False), torchvision.models.get_model(f"resnet{depth}"))


def test_se_network_equals_timm() -> None:
    """Reference: timm's seresnet50 (SE on the residual branch) with the same random weights."""
    torch.manual_seed(2)

    check_equal(ResNet(50), timm.create_model("seresnet50"))


@pytest.mark.parametrize("depth", BLOCKS)
def test_plain_parameters_equal_torchvision(depth: int) -> None:
    """Reference: torchvision's count for each depth."""
    with torch.device("meta"):
        plain, theirs = ResNet(depth, se=False), torchvision.models.get_model(f"resnet{depth}")

    assert count(plain) == count(theirs)


def test_se_resnet_50_has_the_published_size() -> None:
    """Reference: Hu et al., 28.1 M (table 13), about 2.5 M more than ResNet-50 (section 4)."""
    with torch.device("meta"):
        plain, gated = count(ResNet(50, se=False)), count(ResNet(50))
        theirs = count(timm.create_model("seresnet50"))

    assert gated == 28_088_024 == theirs
    assert round(gated / 1e6, 1) == 28.1
    assert round((gated - plain) / 1e6, 1) == 2.5


@pytest.mark.parametrize("reduction", [2, 16])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_block_gains_two_c_squared_over_r_and_biases(
    placement: Placement, reduction: int
) -> None:
    """Reference: Hu et al., equation 5, and the biases; "before" counts a block's inputs."""
    with torch.device("meta"):
        plain, gated = ResNet(50, se=False), ResNet(50, reduction=reduction, placement=placement)
    channels = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
    if placement == "before":
        channels = [64, *channels[:-1]]

    gained = count(gated) - count(plain)

    assert gained == sum(2 * c * c // reduction + c // reduction + c for c in channels)


@pytest.mark.parametrize(
    ("depth", "expansion", "placement"),
    [(34, 1, "residual"), (50, 4, "residual"), (101, 4, "residual")]
    + [(18, 1, placement) for placement in PLACEMENTS],
)
def test_shapes_at_every_stage(depth: int, expansion: int, placement: Placement) -> None:
    """Contract: strides 4, 8, 16 and 32, sides rounded up; the width doubles."""
    network = ResNet(depth, width=4, classes=3, reduction=2, placement=placement)
    images = torch.randn(2, 3, 64, 97)
    x = network.stem(images)
    shapes = []
    for stage in network.stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))

    sides = [(16, 25), (8, 13), (4, 7), (2, 4)]
    assert shapes == [(4 * 2**k * expansion, *side) for k, side in enumerate(sides)]
    assert tuple(map(len, network.stages)) == BLOCKS[depth]
    assert network(images).shape == (2, 3)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_taps_read_every_block(family: Family) -> None:
    """Contract: eight gates, named after their residual blocks, in the order in which they run."""
    network = family.build().eval()
    taps = Tapped(network)(*family.example(3))

    assert list(taps.blocks) == [f"stages.{k}.{i}" for k in range(4) for i in range(2)]
    widths = [16, 16, 32, 32, 64, 64, 128, 128]
    if network.stages[0][0].placement == "before":
        widths = [16, *widths[:-1]]
    assert [tap.gate.shape for tap in taps.blocks.values()] == [(3, c) for c in widths]
    with pytest.raises(NoGatesError):
        find_gates(family.build_plain())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 20}, "depth must be one of 18, 34, 50, 101, got 20"),
        ({"width": -1}, "width must be positive, got -1"),
        ({"width": 8, "reduction": 2, "classes": 0}, "classes must be positive, got 0"),
        ({"width": 8, "reduction": 9}, r"reduction must be in 1\.\.8 .* got 9"),
        ({"width": 8, "reduction": 0}, r"reduction must be in 1\.\.8 .* got 0"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: dict[str, int], message: str) -> None:
    """Contract: the error names what was expected and what was given."""
    with pytest.raises(ValueError, match=message):
        ResNet(**{"depth": 18, **arguments})


def test_unknown_placement_is_refused() -> None:
    """Contract: when the network is built, not when it runs."""
    with pytest.raises(TypeCheckError):
        ResNet(18, width=8, reduction=2, placement="pre")  # type: ignore[arg-type]
