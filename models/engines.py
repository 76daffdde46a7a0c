"""Engines: what runs a network on prepared samples and gives its taps.

The torch engine runs any network on any device and is the reference. ``models.cuda_engine`` is
torch on a GPU; ``models.graph_engine`` runs networks that see images faster on a CPU.
"""

import threading
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.maps import BlockMap
from models.pooling import Where
from models.precision import Precision, computing
from models.preprocess import Preparation
from models.taps import Tapped, Taps, Watch


@runtime_checkable
class Engine(Protocol):
    """Runs a network; safe to be used by several threads."""

    name: str
    lanes: int
    """Passes that are worth running at the same time."""
    channels: dict[str, int]
    """Channels of every block, in the order in which they run."""

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared samples, float32, on the device or the CPU."""

    def warm(self, channels: int, side_px: int, *, wait: bool) -> bool:
        """Make ready for pictures of that many channels (3, or 4 with a mask) and that size.

        Returns whether it is; without ``wait``, what takes long goes on in the background.
        """


class TorchEngine:
    """torch itself, in evaluation mode; 2-D convolutions channels last; one pass a time.

    Raises:
        NoGatesError: if the network has no SE block.
    """

    name = "torch"
    lanes = 1

    def __init__(
        self,
        network: nn.Module,
        preparation: Preparation,
        device: torch.device,
        precision: Precision = "float32",
    ) -> None:
        network = network.eval().requires_grad_(requires_grad=False).to(device)
        for parameter in network.parameters():
            if parameter.dim() == 4:  # not all of them: a 3-D convolution has no such order
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
        self._tapped = Tapped(network)
        self._preparation = preparation
        self._device, self._precision = device, precision
        self._free = threading.Lock()  # the taps of a pass lie in the network until it is through
        self.channels = self._tapped.channels

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared samples; tensors stay on the device."""
        with self._free, torch.inference_mode():
            inputs, weights = self._preparation.inputs(samples, self._device)
            return self._run(*inputs, weights=weights)

    def maps(self, sample: np.ndarray) -> tuple[Taps, dict[str, BlockMap]]:
        """Return the taps of one prepared sample, and the map that each of its blocks saw."""
        found: dict[str, BlockMap] = {}

        def keep(name: str, x: Tensor, where: Where) -> None:
            found[name] = BlockMap.of(x, where)

        with self._free, torch.inference_mode():
            inputs, weights = self._preparation.inputs([sample], self._device)
            return self._run(*inputs, weights=weights, watch=keep), found

    def warm(self, channels: int, side_px: int, *, wait: bool) -> bool:
        """Do nothing: torch takes what comes."""
        return True

    def _run(
        self,
        *inputs: Tensor,
        weights: Float[Tensor, "b 1 h w"] | None,
        watch: Watch | None = None,
    ) -> Taps:
        with computing(self._precision, self._device):
            return self._tapped(*inputs, weights=weights, watch=watch)
