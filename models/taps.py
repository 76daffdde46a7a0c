"""Taps: read gates and squeezes off every SE block of a network while it runs.

For the input x of one block, (b, c, h, w), a tap holds, each (b, c)::

    gate     = the block's gates, in (0, 1)
    mean     = mean over (h, w) of x        (the squeeze itself)
    std      = sqrt(mean over (h, w) of (x - mean)^2)
    maximum  = max over (h, w) of x

The three statistics together are the squeeze statistics: the mean alone hides a small spot, spread
and maximum show it (compare arXiv:2601.22703, which adds variance and maximum to pooled features).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.squeeze_excite import SqueezeExcite


@dataclass(frozen=True, slots=True)
class Tap:
    """What one SE block saw and did, for a batch."""

    gate: Float[Tensor, "b c"]
    mean: Float[Tensor, "b c"]
    std: Float[Tensor, "b c"]
    maximum: Float[Tensor, "b c"]


class Tapped:
    """A network with taps on all its SE blocks, in the order in which they run.

    A tap is named after the block whose ``gate`` the SE block is, or else after the SE block.

    Not for use by several threads at once: the hooks write to one list.

    Raises:
        ValueError: if the network has no SE block.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        blocks = [
            (name.removesuffix(".gate"), module)
            for name, module in network.named_modules()
            if isinstance(module, SqueezeExcite)
        ]
        if not blocks:
            raise ValueError(f"{type(network).__name__} has no Squeeze-and-Excitation block to tap")
        self.channels = {name: block.excite.mean.numel() for name, block in blocks}
        self._inputs: list[tuple[str, Tensor]] = []
        self._gates: list[Tensor] = []
        for name, block in blocks:
            block.register_forward_pre_hook(partial(self._keep_input, name))
            block.excite.register_forward_hook(self._keep_gate)

    def _keep_input(self, name: str, _block: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._inputs.append((name, inputs[0]))

    def _keep_gate(self, _excite: nn.Module, _inputs: tuple[Any, ...], gate: Tensor) -> None:
        self._gates.append(gate)

    def __call__(self, x: Float[Tensor, "b 3 h w"]) -> dict[str, Tap]:
        """Run the network; return the tap of every SE block by the block's name."""
        self._inputs.clear()
        self._gates.clear()
        try:
            self.network(x)
            runs = zip(self._inputs, self._gates, self.channels, strict=True)  # each block once
            return {name: _tap(inputs, gate) for (name, inputs), gate, _ in runs}
        finally:
            self._inputs.clear()
            self._gates.clear()


def _tap(x: Tensor, gate: Tensor) -> Tap:
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    return Tap(gate, mean, variance.sqrt(), x.amax(dim=(2, 3)))
