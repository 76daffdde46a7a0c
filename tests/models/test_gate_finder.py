"""The SE blocks of other libraries: all found, and what is tapped is what they compute."""

from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
import torchvision
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.gate_finder import GATES, TIMM_EXAMPLES, NoGatesError, find_gates
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped

Crops = Callable[[int, int], NDArray[np.uint8]]
Formula = Callable[[nn.Module, Tensor], Tensor]


def parts(block: nn.Module, *names: str) -> list[nn.Module]:
    return [block.get_submodule(name) for name in names]


def two_maps(reduce: str, expand: str, squash: Formula | None = None) -> Formula:
    """The formula of a block with a bottleneck: squash(expand(relu-like(reduce(s))))."""

    def gate(block: nn.Module, s: Tensor) -> Tensor:
        first, second = parts(block, reduce, expand)
        names = dict(block.named_children())
        middle = next(names[key] for key in ("act", "act1", "relu", "activation") if key in names)
        z = second(middle(names.get("bn", nn.Identity())(first(s))))
        return torch.sigmoid(z) if squash is None else squash(block, z)

    return gate


def hard(_block: nn.Module, z: Tensor) -> Tensor:
    """The hard sigmoid, by its definition."""
    return functional.relu6(z + 3) / 6


BLOCK = two_maps("conv_reduce", "conv_expand")
MODULE = two_maps("fc1", "fc2")
NETWORKS: dict[str, tuple[Callable[[], nn.Module], int, Formula]] = {
    "efficientnet_b0": (lambda: timm.create_model("efficientnet_b0"), 16, BLOCK),
    "mobilenetv3_large_100": (
        lambda: timm.create_model("mobilenetv3_large_100"),
        8,
        two_maps("conv_reduce", "conv_expand", hard),
    ),
    "seresnet50": (lambda: timm.create_model("seresnet50"), 16, MODULE),
    "regnety_016": (lambda: timm.create_model("regnety_016"), 27, MODULE),
    "ese_vovnet19b_dw": (
        lambda: timm.create_model("ese_vovnet19b_dw"),
        4,
        lambda block, s: hard(block, parts(block, "fc")[0](s)),
    ),
    "legacy_seresnet18": (lambda: timm.create_model("legacy_seresnet18"), 8, MODULE),
    "torchvision efficientnet_b0": (torchvision.models.efficientnet_b0, 16, MODULE),
    "torchvision mobilenet_v3_small": (
        torchvision.models.mobilenet_v3_small,
        9,
        two_maps("fc1", "fc2", hard),
    ),
}
"""Network -> how it is made, its number of SE blocks, and their formula."""


def excited(network: nn.Module) -> nn.Module:
    """Make the gates of a random network far from 1/2 and from each other."""
    with torch.no_grad():
        for se in find_gates(network).values():
            *_, weight, bias = se.block.parameters()
            weight.mul_(3)
            bias.normal_()
    return network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_taps_equal_the_formula_of_the_block(name: str, crops: Crops) -> None:
    """Reference: inputs kept by hooks of our own; gates from the block's sub-layers by hand."""
    torch.manual_seed(1)
    make, blocks, formula = NETWORKS[name]
    network = excited(make())
    x = torch.from_numpy(crops(2, 72)).permute(0, 3, 1, 2) / 64.0 - 2
    inputs: dict[str, Tensor] = {}
    modules = {module: key for key, module in network.named_modules()}
    kinds = tuple(kind.rpartition(".")[2] for kind in GATES)
    hooks = [
        module.register_forward_pre_hook(
            lambda module, args: inputs.update({modules[module]: args[0].clone()})
        )
        for module in modules
        if type(module).__name__ in kinds
    ]
    with torch.inference_mode():
        network(x)
    for hook in hooks:
        hook.remove()

    tapped = Tapped(network)
    with torch.inference_mode():
        taps = tapped(x).blocks

    assert list(taps) == list(inputs), "names are those of the blocks, in their order of run"
    assert len(taps) == blocks
    for key, tap in taps.items():
        seen = inputs[key]
        with torch.inference_mode():
            gate = formula(network.get_submodule(key), seen.mean((2, 3), keepdim=True))
        assert tap.gate.shape == (2, tapped.channels[key])
        torch.testing.assert_close(tap.gate, gate[:, :, 0, 0], rtol=1e-4, atol=1e-5)
        flat = seen.flatten(2)
        torch.testing.assert_close(tap.mean, flat.mean(2), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(tap.maximum, flat.max(2).values, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(tap.std, flat.std(2, correction=0), rtol=1e-3, atol=1e-4)
        assert float(tap.gate.min()) >= 0
        assert float(tap.gate.max()) <= 1
        assert float(tap.gate.std()) > 0.01, "gates this alike would hide a mistake"


def test_blocks_of_every_kind_are_found_by_subclass_too() -> None:
    """Contract: a subclass is a block of its parent's kind; its channels are the expansion's."""

    class Special(SqueezeExcite):
        pass

    network = nn.Sequential(nn.ReLU(), Special(12, 3))

    found = find_gates(network)

    assert list(found) == ["1"]
    assert found["1"].gate is network[1].excite
    assert found["1"].channels == 12


def test_refusal_names_networks_that_fit() -> None:
    """Contract: the message names the class and what to take instead."""
    with pytest.raises(NoGatesError, match=r"ResNet has no Squeeze.*timm:efficientnet_b0"):
        find_gates(timm.create_model("resnet18"))


@pytest.mark.parametrize("name", TIMM_EXAMPLES)
def test_what_the_refusal_names_does_fit(name: str) -> None:
    """Contract: every network that is recommended exists and has SE blocks."""
    with torch.device("meta"):
        assert find_gates(timm.create_model(name))
