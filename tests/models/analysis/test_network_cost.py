"""The cost of whole networks, against torch's counter, other libraries and published figures."""

from itertools import pairwise

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.mobilenetv2 import InvertedResidual

from models.analysis.cost import SeCost, se_cost
from models.analysis.network_cost import NetworkCost, network_cost
from models.lite0 import STAGES, Lite0
from models.se_lite0 import REDUCTION, SeLite0
from models.squeeze_excite import SqueezeExcite

SE_RESNET_STAGES = {(56, 56): (256, 3), (28, 28): (512, 4), (14, 14): (1024, 6), (7, 7): (2048, 3)}
"""Sides of a stage -> channels and blocks: Hu et al., arXiv:1709.01507, table 1."""


def on_meta(library: object, name: str) -> nn.Module:
    """A network of torchvision or timm of which only shapes exist."""
    with torch.device("meta"):
        if library is timm:
            return timm.create_model(name, pretrained=False)
        return getattr(torchvision.models, name)(weights=None)


def image(side: int = 224) -> Tensor:
    return torch.empty(1, 3, side, side, device="meta")


@pytest.fixture(scope="module")
def se_resnet() -> NetworkCost:
    """SE-ResNet-50 as Hu et al. have it: strides in the 1x1 convolutions."""
    return network_cost(on_meta(timm, "legacy_seresnet50"), image())


@pytest.mark.parametrize(
    ("library", "name"),
    [
        (torchvision, "mobilenet_v2"),
        (torchvision, "mobilenet_v3_small"),
        (torchvision, "efficientnet_b0"),
        (timm, "legacy_seresnet50"),
        (timm, "ese_vovnet19b_dw"),
        (timm, "rexnet_100"),
    ],
)
def test_macs_and_parameters_equal_the_libraries(library: object, name: str) -> None:
    """Reference: torch's FlopCounterMode, and the library's own parameters."""
    network = on_meta(library, name)

    cost = network_cost(network, image(64))

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(image(64))
    total = cost.total
    assert total.macs + total.se.excitation == counter.get_total_flops() / 2
    assert total.parameters + total.se.parameters == sum(p.numel() for p in network.parameters())
    assert sum(stage.macs for stage in cost.stages.values()) == total.macs
    assert sum((stage.se for stage in cost.stages.values()), SeCost()) == total.se


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), torch.randn(2, 4, 9)),
        (nn.Conv2d(4, 6, (3, 2), stride=2), torch.randn(2, 4, 9, 8)),
        (nn.Conv3d(2, 3, 2, bias=False), torch.randn(1, 2, 4, 5, 6)),
        (nn.Linear(5, 7), torch.randn(2, 3, 5)),
        (nn.Linear(5, 7), torch.randn(2, 5)),
    ],
)
def test_every_kind_of_layer_is_counted(layer: nn.Module, x: Tensor) -> None:
    """Reference: torch's FlopCounterMode; the stage is the size of what the layer gives."""
    cost = network_cost(nn.Sequential(layer), x)

    with FlopCounterMode(display=False) as counter:
        y = layer(x)
    assert cost.total.macs == counter.get_total_flops() / 2
    assert list(cost.stages) == [y.shape[1:-1] if isinstance(layer, nn.Linear) else y.shape[2:]]
    assert cost.total.parameters == cost.stages[next(iter(cost.stages))].parameters


def test_se_resnet_costs_what_was_published(se_resnet: NetworkCost) -> None:
    """Reference: Hu et al., section 4: 3.86 and 3.87 thousand million; 2.5 M parameters, 10 %.

    Their 0.26 % is 0.01 / 3.86, of rounded figures; to more digits it is 0.21 %.
    """
    total = se_resnet.total

    assert round(total.macs / 1e9, 2) == 3.86
    assert round((total.macs + total.se.macs) / 1e9, 2) == 3.87
    assert total.mac_overhead == pytest.approx(0.0021, abs=5e-5)
    assert round(total.parameters / 1e6, 1) == 25.6
    assert round(total.se.parameters / 1e6, 1) == 2.5
    assert total.parameter_overhead == pytest.approx(0.10, abs=0.002)


def test_stages_of_se_resnet_follow_equation_5(se_resnet: NetworkCost) -> None:
    """Reference: Hu et al., equation 5, with biases; without the last stage some 4 % are left."""
    for sides, (channels, blocks) in SE_RESNET_STAGES.items():
        expected = sum((se_cost(channels, 16, sides) for _ in range(blocks)), SeCost())
        assert se_resnet.stages[sides].se == expected
    gates = [stage.se.parameters for stage in se_resnet.stages.values()]
    assert sum(gates) == se_resnet.total.se.parameters

    last = se_resnet.stages[7, 7].se.parameters
    assert last > sum(gates) / 2  # "the majority of these parameters"
    assert (sum(gates) - last) / se_resnet.total.parameters == pytest.approx(0.04, abs=0.005)


def test_se_costs_efficientnet_parameters_rather_than_time() -> None:
    """Reference: measured; SE is 13.7 % of EfficientNet-B0's parameters and 0.76 % of its MACs."""
    total = network_cost(on_meta(torchvision, "efficientnet_b0"), image()).total

    assert (total.parameters + total.se.parameters) / 1e6 == pytest.approx(5.3, abs=0.05)
    assert (total.macs + total.se.macs) / 1e9 == pytest.approx(0.39, abs=0.005)
    assert total.parameter_overhead == pytest.approx(0.1368, abs=5e-5)
    assert total.mac_overhead == pytest.approx(0.0076, abs=5e-5)


def test_se_in_every_block_of_mobilenet_v2() -> None:
    """Law: what is added is the sum of ``se_cost`` over the blocks, and nothing else changes.

    On the expanded channels with r = 16 it is 16.3 % of the parameters and 0.95 % of the MACs.
    """
    network = on_meta(torchvision, "mobilenet_v2")
    plain = network_cost(network, image()).total
    expected, sides = SeCost(), iter([112] + [56] * 2 + [28] * 3 + [14] * 7 + [7] * 4)
    for block in list(network.modules()):
        if isinstance(block, InvertedResidual):
            expanded = block.conv[-2].in_channels
            with torch.device("meta"):
                block.conv.insert(len(block.conv) - 2, SqueezeExcite(expanded, 16))
            side = next(sides)
            expected += se_cost(expanded, 16, (side, side))

    total = network_cost(network, image()).total

    assert total.se == expected
    assert (total.parameters, total.macs) == (plain.parameters, plain.macs)
    assert total.parameter_overhead == pytest.approx(0.163, abs=5e-4)
    assert total.mac_overhead == pytest.approx(0.0095, abs=5e-5)


def test_our_gated_trunk_is_the_trunk_and_its_gates() -> None:
    """Law: SE-Lite0 costs what Lite0 costs, and one block for each of its sixteen."""
    with torch.device("meta"):
        gated, trunk = SeLite0(), Lite0()

    cost, plain = network_cost(gated, image(64)), network_cost(trunk, image(64))

    expected = SeCost()
    for stage, side in zip(STAGES, [32, 16, 8, 4, 4, 2, 2], strict=True):
        for _ in range(stage.blocks):
            expected += se_cost(stage.channels, REDUCTION, (side, side))
    assert cost.total.se == expected
    assert (cost.total.parameters, cost.total.macs) == (plain.total.parameters, plain.total.macs)
    assert plain.total.se == SeCost()
    assert {places: stage.macs for places, stage in cost.stages.items()} == {
        places: stage.macs for places, stage in plain.stages.items()
    }
    assert all(a > b for (a, _), (b, _) in pairwise(cost.stages))  # from large maps to small


def test_a_batch_costs_as_often_as_it_has_samples() -> None:
    """Law: MACs of three samples are three times those of one; parameters are the same."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), SqueezeExcite(8, 4), nn.Conv2d(8, 4, 1))

    one = network_cost(network, torch.randn(1, 3, 9, 7)).total
    three = network_cost(network, torch.randn(3, 3, 9, 7)).total

    assert (three.macs, three.se.macs) == (3 * one.macs, 3 * one.se.macs)
    assert (three.parameters, three.se.parameters) == (one.parameters, one.se.parameters)


def test_a_layer_that_runs_twice_has_its_parameters_once() -> None:
    """Law: parameters are counted once in total and by stage, MACs as often as they run."""
    layer, se = nn.Conv2d(4, 4, 1), SqueezeExcite(4, 2)

    cost = network_cost(nn.Sequential(layer, se, layer, se), torch.randn(1, 4, 5, 5))

    assert cost.total.parameters == cost.stages[5, 5].parameters == 4 * 4 + 4
    assert cost.total.macs == 2 * 4 * 4 * 25
    assert cost.total.se.parameters == cost.stages[5, 5].se.parameters
    assert cost.total.se.parameters == se_cost(4, 2).parameters
    assert cost.total.se.scale == 2 * 4 * 25


def test_the_network_is_left_as_it_was() -> None:
    """Contract: modes, statistics and hooks are as before; also after an error."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), SqueezeExcite(4, 2))
    network[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}

    network_cost(network, torch.randn(1, 3, 8, 8))
    with pytest.raises(RuntimeError):
        network_cost(network, torch.randn(1, 2, 8, 8))

    assert [module.training for module in network] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
