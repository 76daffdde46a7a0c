"""Excitation: from a squeeze to one gate per channel, through a bottleneck.

For the squeeze s (b, k) and, where there is one, a context vector z (b, m)::

    u = [(s - m) / d ; z]                 (b, k + m)
    g = gate(W2 inner(W1 u + b1) + b2)    (b, c), in (0, 1); [0, 1] for the hard sigmoid

W1 is (c/r, k + m) and W2 is (c, c/r): 2 c^2 / r weights for k = c, m = 0 and the reduction ratio r.

Source: Hu, Shen, Albanie, Sun & Wu, "Squeeze-and-Excitation Networks", arXiv:1709.01507, equation
3, section 4 for the 2 c^2 / r weights; the hard sigmoid relu6(x + 3) / 6 is that of Howard et al.,
"Searching for MobileNetV3", arXiv:1905.02244, section 5.2.
Ours: both maps carry biases; m and d (fixed, 0 and 1 by default) standardise the squeeze; the
context lets a task, a camera or another modality have a say in what is let through.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

Inner = Literal["relu", "silu"]
GateFunction = Literal["sigmoid", "hard_sigmoid"]
_INNER: dict[str, Callable[[Tensor], Tensor]] = {"relu": torch.relu, "silu": functional.silu}
_GATE: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": functional.hardsigmoid,
}


class Excitation(nn.Module):
    """Two linear maps with a bottleneck, then the gate function: (b, k) -> gates (b, c).

    Args:
        channels: c, how many gates there are.
        reduction: r; the bottleneck is c // r wide.
        bottleneck: its width, where that is no part of c.
        inputs: k, the width of the squeeze; None takes c.
        context: m, the width of the context vector.
        inner: the function between the maps.
        gate: the function that makes gates.
        standardise: whether m and d are part of the state.

    Raises:
        ValueError: if the reduction ratio is not in 1..channels, or a width is not positive.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        bottleneck: int | None = None,
        inputs: int | None = None,
        context: int = 0,
        inner: Inner = "relu",
        gate: GateFunction = "sigmoid",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        if bottleneck is None:
            if not 1 <= reduction <= channels:
                raise ValueError(
                    f"reduction must be in 1..{channels} (the channels), got {reduction}"
                )
            bottleneck = channels // reduction
        self.inputs = channels if inputs is None else inputs
        least = {"channels": 1, "bottleneck": 1, "inputs": 1, "context": 0}
        for name, value in zip(least, (channels, bottleneck, self.inputs, context), strict=True):
            if value < least[name]:
                raise ValueError(f"{name} must be {least[name]} or more, got {value}")
        self.channels, self.context, self.standardise = channels, context, standardise
        self._inner, self._gate = _INNER[inner], _GATE[gate]
        self.register_buffer("mean", torch.zeros(self.inputs), persistent=standardise)
        self.register_buffer("deviation", torch.ones(self.inputs), persistent=standardise)
        self.reduce: nn.Linear | nn.Conv2d = nn.Linear(self.inputs + context, bottleneck)
        self.expand: nn.Linear | nn.Conv2d = nn.Linear(bottleneck, channels)

    def forward(
        self, s: Float[Tensor, "b k"], context: Float[Tensor, "..."] | None = None
    ) -> Float[Tensor, "b c"]:
        """Return one gate per channel.

        Raises:
            ValueError: if the squeeze or the context has another width; a context must be given
                if, and only if, the excitation was made for one.
        """
        gate: Tensor = self._gate(self.expand(self._inner(self.reduce(self._given(s, context)))))
        return gate

    def _given(self, s: Tensor, context: Tensor | None) -> Tensor:
        """Return squeeze and context, checked, standardised and side by side."""
        if s.shape[-1] != self.inputs:
            raise ValueError(f"the squeeze must have shape (b, {self.inputs}), got {_shape(s)}")
        expected = (s.shape[0], self.context)
        if (context is None) != (self.context == 0) or (
            context is not None and tuple(context.shape) != expected
        ):
            wanted = f"a context of shape {expected}" if self.context else "no context"
            got = "none" if context is None else _shape(context)
            raise ValueError(f"the excitation takes {wanted}, got {got}")
        if self.standardise:
            s = (s - self.mean) / self.deviation
        return s if context is None else torch.cat([s, context], dim=-1)


class ConvExcitation(Excitation):
    """The same function by two 1x1 convolutions on a map of one pixel, as many libraries have it.

    It takes what ``Excitation`` takes; its weights are those, with two axes of length 1 behind.
    """

    def __init__(self, channels: int, reduction: int = 16, **options: Any) -> None:
        super().__init__(channels, reduction, **options)
        width, inputs = self.reduce.weight.shape
        self.reduce = nn.Conv2d(inputs, width, kernel_size=1)
        self.expand = nn.Conv2d(width, channels, kernel_size=1)

    def forward(
        self, s: Float[Tensor, "b k"], context: Float[Tensor, "..."] | None = None
    ) -> Float[Tensor, "b c"]:
        """Return one gate per channel. Raises ValueError as ``Excitation`` does."""
        pixel = self._given(s, context)[:, :, None, None]
        gate: Tensor = self._gate(self.expand(self._inner(self.reduce(pixel))))
        return gate.flatten(1)


def _shape(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape)
