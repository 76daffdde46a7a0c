"""MobileNetV3: counts, the hard gates on the expanded channels, width."""

import pytest
import torch
import torchvision
from torch import nn

from models.families.mbconv import MBConv
from models.families.mobilenet_v3 import FAMILY, ROWS, MobileNetV3, gate
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(("size", "published"), [("large", 5.4e6), ("small", 2.5e6)])
@pytest.mark.parametrize("width", [1.0, 0.75, 0.5, 0.35, 1.25])
def test_counts_are_torchvision_s(size: str, published: float, width: float) -> None:
    """Reference: torchvision exactly at any width; the paper's figure at width 1, within 2 %."""
    with torch.device("meta"):
        ours = parameters(MobileNetV3(size, width=width))
        make = getattr(torchvision.models, f"mobilenet_v3_{size}")
        theirs = parameters(make(weights=None, width_mult=width))

    assert ours == theirs
    if width == 1:
        assert ours == pytest.approx(published, rel=0.02)


def test_gates_are_hard_and_reach_both_ends() -> None:
    """Reference: min(max(z + 3, 0), 6) / 6 of the two maps by hand, of large squeezes too."""
    torch.manual_seed(0)
    excite = gate(32).excite
    s = 20 * torch.randn(16, 32)
    w1, b1, w2, b2 = (p.detach().flatten(1) if p.dim() > 1 else p for p in excite.parameters())
    z = (s @ w1.T + b1).clamp_min(0) @ w2.T + b2

    actual = excite(s)

    assert w1.shape == (8, 32)  # a quarter of the expansion
    torch.testing.assert_close(actual, ((z + 3).clamp(0, 6) / 6), rtol=1e-5, atol=1e-5)
    assert (actual == 0).any()
    assert (actual == 1).any()
    assert ((actual > 0.2) & (actual < 0.8)).any()


@pytest.mark.parametrize(("size", "blocks"), [("large", 8), ("small", 9)])
def test_se_stands_where_the_tables_have_it(size: str, blocks: int) -> None:
    """Contract: gates over the expanded channels, behind the depthwise convolution's activation."""
    network = MobileNetV3(size, width=0.25, classes=2).eval()
    found = {n: m for n, m in network.named_modules() if isinstance(m, MBConv)}
    gated = {n: m for n, m in found.items() if isinstance(m.gate, SqueezeExcite)}
    x = torch.randn(2, 3, 32, 32)
    seen = {}
    for name, block in gated.items():
        block.depthwise.register_forward_hook(
            lambda _m, _x, y, name=name: seen.__setitem__(name, y.mean((2, 3)))
        )

    taps = Tapped(network)(x).blocks

    assert [n for n in found if n in gated] == list(taps)
    assert [row.se for row in ROWS[size]] == [n in gated for n in found]
    assert len(taps) == blocks
    for name, tap in taps.items():
        torch.testing.assert_close(tap.mean, seen[name])
        assert tap.gate.shape == (2, gated[name].project.conv.in_channels)


def test_activation_changes_to_hard_swish_in_the_deeper_half() -> None:
    """Contract: the large network has ReLU up to its 40 channels; stem and head h-swish."""
    network = MobileNetV3("large", width=0.25, classes=2)
    kinds = [type(block.depthwise.activation) for block in network.stages]

    assert kinds == [nn.ReLU] * 6 + [nn.Hardswish] * 9
    assert type(network.stem.activation) is type(network.head.activation) is nn.Hardswish
    assert not any(hasattr(block.project, "activation") for block in network.stages)


def test_without_se_the_rest_is_the_same() -> None:
    """Law: the state of the plain network is the gated one's less its gates."""
    state, plain = FAMILY.build().state_dict(), FAMILY.build_plain().state_dict()

    assert {k: v.shape for k, v in state.items() if ".gate." not in k} == {
        k: v.shape for k, v in plain.items()
    }
    assert len(state) - len(plain) == 9 * 4


@pytest.mark.parametrize("sides", [(64, 64), (65, 33)])
def test_features_have_stride_32(sides: tuple[int, int]) -> None:
    """Law: five halvings, rounded up; any image size will do."""
    network = MobileNetV3("small", width=0.5, classes=3).eval()

    features = network.forward_features(torch.randn(2, 3, *sides))

    assert features.shape == (2, 48, *(-(-side // 32) for side in sides))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"size": "medium"}, "size must be one of large, small, got medium"),
        ({"width": 0.0}, "width must be positive, got 0"),
        ({"classes": 0}, "classes must be positive, got 0"),
    ],
)
def test_impossible_networks_are_refused(options: dict[str, object], match: str) -> None:
    """Contract: the message names what was received and what is expected."""
    with pytest.raises(ValueError, match=match):
        MobileNetV3(**options)


def test_what_is_no_batch_of_images_is_refused() -> None:
    """Contract: the error names both shapes."""
    with pytest.raises(ValueError, match=r"\(b, 3, h, w\), got \(2, 1, 32, 32\)"):
        FAMILY.build()(torch.zeros(2, 1, 32, 32))
