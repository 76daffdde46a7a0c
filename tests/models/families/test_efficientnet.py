"""EfficientNet: counts as published, the block against a naive twin, stochastic depth."""

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import get_model_weights

from models.excitation import ConvExcitation
from models.families.compound_scaling import PUBLISHED, Scaling
from models.families.efficientnet import FAMILY, EfficientNet, gate
from models.families.mbconv import MBConv
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped

MILLIONS = ("5.3", "7.8", "9.2", "12", "19", "30", "43", "66")
TINY = Scaling(width=0.25, depth=0.5, side_px=32)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give batch normalisation statistics and maps of its own; return the network as it infers."""
    torch.manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.2)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.2)
    return network.eval()


@pytest.mark.parametrize("index", range(8))
def test_counts_are_the_published_ones(index: int) -> None:
    """Reference: torchvision exactly; table 2 within 1 % or within its last printed digit."""
    with torch.device("meta"):
        ours = parameters(EfficientNet(PUBLISHED[index]))
    theirs = get_model_weights(f"efficientnet_b{index}").DEFAULT.meta["num_params"]
    published = float(MILLIONS[index]) * 1e6
    last_digit = 1e5 if "." in MILLIONS[index] else 1e6

    assert ours == theirs
    assert abs(ours - published) <= max(0.01 * published, last_digit / 2)


def test_se_adds_what_the_bottlenecks_hold() -> None:
    """Law: with and without differ by 2 d r + d + r a block, r a quarter of the input channels."""
    network, plain = FAMILY.build(), FAMILY.build_plain()
    expected = 0
    for block in network.modules():
        if isinstance(block, MBConv):
            inputs = block.expand[0].in_channels if len([*block.expand.children()]) else 8
            inside, r = block.project.conv.in_channels, inputs // 4
            expected += 2 * inside * r + inside + r

    assert parameters(network) - parameters(plain) == expected > 0
    assert not any(isinstance(module, SqueezeExcite) for module in plain.modules())


def test_block_is_expand_filter_gate_project() -> None:
    """Reference: the same by hand, on arrays for the excitation; SiLU inside, sigmoid after."""
    torch.manual_seed(1)
    block = randomised(
        MBConv(8, 8, expanded=16, kernel=3, stride=1, activation=nn.SiLU, gate=gate(8, 16)).double()
    )
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)

    def norm(y: Tensor, layer: nn.BatchNorm2d) -> Tensor:
        shaped = [v[:, None, None] for v in (layer.running_mean, layer.running_var)]
        y = (y - shaped[0]) / (shaped[1] + 1e-3).sqrt()
        return y * layer.weight[:, None, None] + layer.bias[:, None, None]

    def silu(y: np.ndarray) -> np.ndarray:
        return y / (1 + np.exp(-y))

    u = norm(functional.conv2d(x, block.expand.conv.weight), block.expand.norm)
    u = u * torch.sigmoid(u)
    v = functional.conv2d(u, block.depthwise.conv.weight, padding=1, groups=16)
    v = norm(v, block.depthwise.norm)
    v = v * torch.sigmoid(v)
    excite = block.gate.excite
    w1, b1, w2, b2 = (p.detach().numpy().squeeze() for p in excite.parameters())
    s = v.mean((2, 3)).detach().numpy()
    gates = 1 / (1 + np.exp(-(silu(s @ w1.T + b1) @ w2.T + b2)))
    y = functional.conv2d(v * torch.from_numpy(gates)[:, :, None, None], block.project.conv.weight)
    expected = x + norm(y, block.project.norm)

    assert w1.shape == (2, 16)  # a quarter of the 8 at the block's input
    assert isinstance(excite, ConvExcitation)
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-10)


def test_first_stage_does_not_expand_and_others_do() -> None:
    """Law: MBConv1, then MBConv6 with a gate over six times the input's channels."""
    blocks = [m for m in EfficientNet(TINY, 2).modules() if isinstance(m, MBConv)]

    assert isinstance(blocks[0].expand, nn.Identity)
    for block in blocks[1:]:
        inputs = block.expand.conv.in_channels
        assert block.gate.channels == block.expand.conv.out_channels == 6 * inputs
        assert block.gate.excite.reduce.weight.shape[0] == inputs // 4


@pytest.mark.parametrize("sides", [(64, 64), (65, 33), (32, 96)])
def test_features_have_stride_32(sides: tuple[int, int]) -> None:
    """Law: five halvings, rounded up; any image size will do."""
    network = randomised(EfficientNet(TINY, 3))
    x = torch.randn(2, 3, *sides)

    features = network.forward_features(x)

    assert features.shape == (2, 80, *(-(-side // 32) for side in sides))
    assert network(x).shape == (2, 3)


def test_every_block_is_tapped() -> None:
    """Contract: in the order in which they run, each over its expanded channels."""
    network = randomised(EfficientNet(TINY, 2))
    blocks = {name: b for name, b in network.named_modules() if isinstance(b, MBConv)}

    taps = Tapped(network)(torch.randn(2, 3, 32, 32)).blocks

    assert list(taps) == list(blocks)
    for name, tap in taps.items():
        assert tap.gate.shape == (2, blocks[name].project.conv.in_channels)


def test_stochastic_depth_drops_whole_branches_and_keeps_the_mean() -> None:
    """Law: a sample's branch is 0 or 1 / (1 - p) of itself, each with its probability."""
    torch.manual_seed(3)
    block = MBConv(
        8, 8, expanded=8, kernel=3, stride=1, activation=nn.SiLU, gate=gate(8, 8), drop=0.25
    )
    randomised(block)
    x = torch.randn(1, 8, 4, 4).expand(2000, -1, -1, -1)
    branch = (block(x) - x)[0]
    block.drop, kept = 0.25, block.train()
    for layer in kept.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()  # so that the branch itself is that of inference
    drawn = kept(x) - x

    is_zero = drawn.flatten(1).abs().amax(dim=1) == 0
    torch.testing.assert_close(drawn[~is_zero][0], branch / 0.75, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        drawn[~is_zero], drawn[~is_zero][:1].expand(int((~is_zero).sum()), -1, -1, -1)
    )
    assert float(is_zero.float().mean()) == pytest.approx(0.25, abs=0.04)  # 4 deviations
    torch.testing.assert_close(block.eval()(x)[0], x[0] + branch)


def test_stochastic_depth_grows_with_the_place() -> None:
    """Reference: torchvision's probabilities, block by block."""
    with torch.device("meta"):
        ours = [m.drop for m in EfficientNet(PUBLISHED[1]).modules() if isinstance(m, MBConv)]
        theirs = torchvision.models.efficientnet_b1(weights=None)

    expected = [m.p for m in theirs.modules() if isinstance(m, torchvision.ops.StochasticDepth)]
    assert ours == pytest.approx(expected)
    assert 0 == ours[0] < ours[-1] < 0.2


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"classes": 0}, "classes must be positive, got 0"),
        ({"stochastic_depth": 1.0}, r"stochastic_depth must be in \[0, 1\), got 1.0"),
    ],
)
def test_impossible_networks_are_refused(options: dict[str, float], match: str) -> None:
    """Contract: the message names what was received and what is expected."""
    with pytest.raises(ValueError, match=match):
        EfficientNet(TINY, **options)


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 1, 32, 32), (2, 32, 32, 3)])
def test_what_is_no_batch_of_images_is_refused(shape: tuple[int, ...]) -> None:
    """Contract: the error names both shapes."""
    with pytest.raises(ValueError, match=r"\(b, 3, h, w\), got \("):
        EfficientNet(TINY, 2)(torch.zeros(shape))
