"""Taps: read gates and squeezes off every SE block of a network while it runs.

For the input x of one SE block, (b, c, *places) or packed (n, c), a tap holds, each (b, c)::

    gate     = the block's gates, in (0, 1); [0, 1] where they come from a hard sigmoid; their mean
               over time where there is one for every frame
    mean     = mean over the places of x        (the squeeze itself)
    std      = sqrt(mean over the places of (x - mean)^2)
    maximum  = max over the places of x

Places that the block was told not to count (padding, ``models.pooling``) do not count here.
Where the network computes in half precision, taps are taken of its maps in float32.

The three statistics together are the squeeze statistics: the mean alone hides a small spot, spread
and maximum show it (compare arXiv:2601.22703, which adds variance and maximum to pooled features).

The regional squeezes, of networks that see images, are means over the cells of a grid, of the
*output* of the residual block around the SE block, after its skip connection: measured, it
localises better than the SE block's input. Only the last block of every shape is kept (the end of
a stage), at strides 4 to 16.

Weights over an image's pixels restrict all of it to a region of interest (``models.regions``).
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models import pooling, regions
from models.gate_finder import find_gates
from models.pooling import Where
from models.regions import Weights

REGIONAL_STRIDES = (4, 16)
"""Least and greatest stride of a block whose output is kept by region."""
STATISTICS = ("gate", "mean", "std", "maximum")

Watch = Callable[[str, Tensor, Where], object]
"""Called with a block's name, its input and how much each place counts, while the block runs."""


@dataclass(frozen=True, slots=True)
class Tap:
    """What one SE block saw and did, for a batch."""

    gate: Float[Tensor, "b c"]
    mean: Float[Tensor, "b c"]
    std: Float[Tensor, "b c"]
    maximum: Float[Tensor, "b c"]


@dataclass(frozen=True, slots=True)
class Taps:
    """The taps of all SE blocks, and the regional squeezes (b, k, c) of the ends of stages."""

    blocks: dict[str, Tap]
    regional: dict[str, Float[Tensor, "b k c"]]


def to_names(taps: Taps) -> dict[str, Tensor]:
    """Return every tensor of the taps under its name."""
    named = {
        f"{statistic}/{block}": getattr(tap, statistic)
        for block, tap in taps.blocks.items()
        for statistic in STATISTICS
    }
    return named | {f"regional/{block}": cells for block, cells in taps.regional.items()}


def from_names(named: Mapping[str, Tensor]) -> Taps:
    """Return the taps that ``to_names`` took apart."""
    blocks = [name.partition("/")[2] for name in named if name.startswith("gate/")]
    regional = [name.partition("/")[2] for name in named if name.startswith("regional/")]
    return Taps(
        {block: Tap(*(named[f"{each}/{block}"] for each in STATISTICS)) for block in blocks},
        {block: named[f"regional/{block}"] for block in regional},
    )


class Tapped:
    """A network with taps on all its SE blocks, in the order in which they run.

    A tap is named after the block whose ``gate`` the SE block is, or else after the SE block. What
    comes after a network's features, such as a classifier, is not run where that can be told
    apart (``forward_features``, timm's convention).

    Not for use by several threads at once: the hooks write to one list.

    Raises:
        NoGatesError: if the network has no SE block.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self._run: Callable[..., Any] = getattr(network, "forward_features", network)
        found = {name.removesuffix(".gate"): se for name, se in find_gates(network).items()}
        self.channels = {name: se.channels for name, se in found.items()}
        self._weights: Weights | None = None
        self._watch: Watch | None = None
        self._side = 0
        self._input: tuple[Tensor, Where] | None = None
        self._taps: list[tuple[str, Tap]] = []
        self._regional: dict[tuple[int, ...], tuple[str, Tensor]] = {}
        for name, se in found.items():
            se.block.register_forward_pre_hook(self._keep_input, with_kwargs=True)
            se.gate.register_forward_hook(partial(self._keep_tap, name))
            se.around.register_forward_hook(partial(self._keep_regional, name))

    def _keep_input(
        self, _block: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        where = inputs[1] if len(inputs) > 1 else named.get("where")
        x = inputs[0]
        if where is None and self._weights is not None and x.dim() == 4:
            where = regions.at_size(self._weights, *x.shape[2:])
        self._input = x, where

    def _keep_tap(self, name: str, _gate: nn.Module, _inputs: object, gate: Tensor) -> None:
        # Here, not after the run: the network may overwrite the map, and must not have to keep it.
        assert self._input is not None, "a gate runs once, within its block"
        (x, where), self._input = self._input, None
        if gate.dim() > 2:  # one pixel, or one gate for every frame
            gate = gate.flatten(2).mean(dim=2)
        x = _full(x)
        if self._watch is not None:
            self._watch(name, x, where)
        self._taps.append((name, Tap(_full(gate), *pooling.statistics(x, where))))

    def _keep_regional(self, name: str, _block: nn.Module, _inputs: object, y: object) -> None:
        least, greatest = REGIONAL_STRIDES
        if not isinstance(y, Tensor) or y.dim() != 4 or not self._side:
            return
        if least <= round(self._side / y.shape[2]) <= greatest:
            # A later block of this shape takes its place.
            self._regional[y.shape[1:]] = name, regions.cells(_full(y), self._weights)

    def __call__(
        self, *inputs: Tensor, weights: Weights | None = None, watch: Watch | None = None
    ) -> Taps:
        """Run the network; return the taps by the blocks' names.

        Args:
            inputs: what the network takes: normalised images (b, c, h, w), or what else it sees.
            weights: how much each pixel counts, >= 0, of the images' size; None for all alike.
            watch: is shown what every block sees; it is overwritten once the block has run.

        Raises:
            ValueError: if a block did not run exactly once.
        """
        self._clear()
        self._weights, self._watch = weights, watch
        # Not of a spectrogram, whose length depends on the batch's padding.
        picture = inputs[0].dim() == 4 and inputs[0].shape[1] == 3
        self._side = inputs[0].shape[2] if picture else 0
        try:
            self._run(*inputs)
            runs = Counter(name for name, _ in self._taps)
            odd = sorted(name for name in self.channels if runs[name] != 1)
            if odd:
                raise ValueError(f"SE blocks that did not run exactly once: {', '.join(odd)}")
            return Taps(dict(self._taps), dict(self._regional.values()))
        finally:
            self._clear()

    def _clear(self) -> None:
        self._taps.clear()
        self._regional.clear()
        self._weights = self._watch = self._input = None


def _full(x: Tensor) -> Tensor:
    """Return halves as float32: sums of their squares leave their range and precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
