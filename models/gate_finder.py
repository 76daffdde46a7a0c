"""Find the Squeeze-and-Excitation blocks of a network, ours or another library's.

Every kind of block computes y = g(x) * x with one gate per channel; the submodule whose output is
the gate differs. Blocks are told by the full name of their class, so that no library need be
installed to look for its blocks. The attributes are those of timm 1.0.31 and torchvision 0.29.
"""

from dataclasses import dataclass

from torch import Tensor, nn

GATES = {
    "models.squeeze_excite.SqueezeExcite": "excite",
    "timm.layers.squeeze_excite.SEModule": "gate",
    "timm.layers.squeeze_excite.EffectiveSEModule": "gate",
    "timm.models._efficientnet_blocks.SqueezeExcite": "gate",
    "timm.models.senet.SEModule": "sigmoid",
    "torchvision.ops.misc.SqueezeExcitation": "scale_activation",
}
"""Class of a block -> its submodule that returns the gate, (b, c) or (b, c, 1, 1)."""

TIMM_EXAMPLES = (
    "efficientnet_b0",
    "ese_vovnet19b_dw",
    "ghostnet_100",
    "mobilenetv3_large_100",
    "regnety_016",
    "rexnet_100",
    "seresnet50",
    "seresnext50_32x4d",
    "tf_efficientnetv2_b0",
)
"""One network of each large family that has SE blocks."""


class NoGatesError(ValueError):
    """The network has no SE block; the message names networks that have."""


@dataclass(frozen=True, slots=True)
class SeBlock:
    """One SE block, the submodule that returns its gate, its channels, and the block around it.

    ``around`` is the nearest module around the SE block that is not a mere sequence: the residual
    block it belongs to, or the whole network.
    """

    block: nn.Module
    gate: nn.Module
    channels: int
    around: nn.Module


def find_gates(network: nn.Module) -> dict[str, SeBlock]:
    """Return the SE blocks of a network by name, in the order in which they are registered.

    Raises:
        NoGatesError: if there is none.
    """
    found = {
        name: SeBlock(
            module,
            module.get_submodule(attribute),
            _last(module).shape[0],
            _around(network, name),
        )
        for name, module in network.named_modules()
        for attribute in [_gate_attribute(module)]
        if attribute is not None
    }
    if not found:
        examples = ", ".join(f"timm:{name}" for name in TIMM_EXAMPLES)
        raise NoGatesError(
            f"{type(network).__name__} has no Squeeze-and-Excitation block to tap; networks that "
            f"have: se-lite0, {examples}"
        )
    return found


def _gate_attribute(module: nn.Module) -> str | None:
    kinds = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(module).__mro__)
    return next((GATES[kind] for kind in kinds if kind in GATES), None)


def _around(network: nn.Module, name: str) -> nn.Module:
    while name:
        name = name.rpartition(".")[0]
        module = network.get_submodule(name)
        if not isinstance(module, nn.Sequential):
            return module
    return network


def _last(block: nn.Module) -> Tensor:
    """Return the last parameter: of the expansion, whose first axis is the block's channels."""
    *_, last = block.parameters()
    return last
