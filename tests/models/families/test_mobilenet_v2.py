"""MobileNetV2 against torchvision's, and the SE block's place in the inverted residual."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from models.families.mbconv import MBConv
from models.families.mobilenet_v2 import FAMILY, STAGES, MobileNetV2
from models.gate_finder import NoGatesError, find_gates
from models.taps import Tapped


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def shake(network: nn.Module) -> None:
    """Give batch normalisation values that change what it is given."""
    for value in network.state_dict().values():
        if value.dim() == 1:
            value.uniform_(0.5, 1.5)


@pytest.mark.parametrize("width", [0.35, 1.0])
def test_plain_network_equals_torchvision(width: float) -> None:
    """Reference: torchvision's with the same random weights, in its order, the classifier last."""
    torch.manual_seed(3)
    theirs = mobilenet_v2(width_mult=width).eval().requires_grad_(False)
    shake(theirs)
    ours = MobileNetV2(width, se=False).eval().requires_grad_(False)
    names = sorted(ours.state_dict(), key=lambda name: name.startswith("classifier"))
    ours.load_state_dict(dict(zip(names, theirs.state_dict().values(), strict=True)))
    x = torch.randn(2, 3, 65, 96)

    expected = theirs(x)

    assert expected.std() > 0.1, "a comparison of nothing"
    torch.testing.assert_close(ours(x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.4])
def test_plain_parameters_equal_torchvision(width: float) -> None:
    """Reference: torchvision's count; 3,504,872 at width 1, "3.4 million" in the paper."""
    with torch.device("meta"):
        plain, theirs = MobileNetV2(width, se=False), mobilenet_v2(width_mult=width)

    assert count(plain) == count(theirs)
    assert width != 1 or count(plain) == 3_504_872


@pytest.mark.parametrize("reduction", [4, 16])
def test_every_block_gains_two_c_squared_over_r_and_biases(reduction: int) -> None:
    """Reference: 2 c^2 / r + c / r + c, where c counts the widened channels."""
    with torch.device("meta"):
        gained = count(MobileNetV2(reduction=reduction)) - count(MobileNetV2(se=False))
    channels, inputs = [], 32
    for expansion, outputs, blocks, _ in STAGES:
        for _ in range(blocks):
            channels.append(expansion * inputs)
            inputs = outputs

    assert len(channels) == 17
    assert gained == sum(2 * c * (c // reduction) + c // reduction + c for c in channels)


def taken_apart(block: MBConv, x: Tensor, gated_at: str) -> Tensor:
    """The formula of the module's docstring, with the gate at v or elsewhere."""
    gate = block.gate

    def normalised(unit: nn.Module, x: Tensor) -> Tensor:
        y: Tensor = unit.get_submodule("norm")(unit.get_submodule("conv")(x))
        return y

    u = x
    if not isinstance(block.expand, nn.Identity):
        u = normalised(block.expand, x).clamp(0, 6)
    u = gate(u) if gated_at == "u" else u
    v = normalised(block.depthwise, u)
    v = gate(v).clamp(0, 6) if gated_at == "before relu6" else v.clamp(0, 6)
    v = gate(v) if gated_at == "v" else v
    y = normalised(block.project, v)
    return x + y if x.shape == y.shape else y


@pytest.mark.parametrize("name", ["stages.0.0", "stages.1.0", "stages.2.1"])
def test_gate_acts_on_the_widened_channels_after_the_depthwise_convolution(name: str) -> None:
    """Reference: the formula by hand; with the gate elsewhere, or with none, it gives another."""
    torch.manual_seed(4)
    network = MobileNetV2(0.25, reduction=2).eval().requires_grad_(False)
    block = network.get_submodule(name)
    assert isinstance(block, MBConv)
    for unit in (block.expand, block.depthwise, block.project):
        shake(unit)
    x = 8 * torch.randn(3, 8, 6, 6)

    y = block(x)

    torch.testing.assert_close(y, taken_apart(block, x, "v"))
    for other in ("u", "before relu6", "nothing"):
        assert (y - taken_apart(block, x, other)).abs().max() > 1e-2, other


def test_shapes_at_every_stage() -> None:
    """Contract: strides 2, 4, 8, 16, 16, 32, 32 and the channels of table 2."""
    network = MobileNetV2(classes=3).eval().requires_grad_(False)
    images = torch.randn(2, 3, 64, 96)
    x = network.stem(images)
    shapes = []
    for stage in network.stages:
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))

    channels = [16, 24, 32, 64, 96, 160, 320]
    strides = [2, 4, 8, 16, 16, 32, 32]
    assert shapes == [(c, 64 // s, 96 // s) for c, s in zip(channels, strides, strict=True)]
    assert network.forward_features(images).shape == (2, *shapes[-1])
    assert network(images).shape == (2, 3)


@pytest.mark.parametrize(("width", "last"), [(0.25, 1280), (1.0, 1280), (1.4, 1792)])
def test_width_only_widens_the_last_convolution(width: float, last: int) -> None:
    """Contract: below 1 it keeps 1280 channels, as the paper's section 4 has it."""
    with torch.device("meta"):
        assert MobileNetV2(width, reduction=4).classifier.in_features == last


def test_taps_read_the_widened_channels_of_every_block() -> None:
    """Contract: seventeen gates, of t times a block's inputs."""
    network = FAMILY.build().eval()
    taps = Tapped(network)(*FAMILY.example(3))
    widened = [
        block.project.get_submodule("conv").in_channels
        for block in network.modules()
        if isinstance(block, MBConv)
    ]

    assert len(taps.blocks) == 17
    assert [tap.gate.shape for tap in taps.blocks.values()] == [(3, c) for c in widened]
    with pytest.raises(NoGatesError):
        find_gates(FAMILY.build_plain())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0.0}, r"width must be positive, got 0\.0"),
        ({"width": 0.25, "reduction": 4, "classes": 0}, "classes must be positive, got 0"),
        ({"width": 0.25, "reduction": 9}, r"reduction must be in 1\.\.8 .* got 9"),
    ],
)
def test_arguments_out_of_range_are_named(arguments: dict[str, float], message: str) -> None:
    """Contract: the error names what was expected and what was given."""
    with pytest.raises(ValueError, match=message):
        MobileNetV2(**arguments)  # type: ignore[arg-type]
