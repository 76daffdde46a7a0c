"""A network as its structure and the bytes of its tensors: to be copied, or sent to a process.

Sent as it is, each of its tensors would move into shared memory and keep a file open, in this
process too and for good (torch's way with tensors between processes). So the structure goes without
numbers, on the device "meta", and the numbers go as one safetensors file in memory.
"""

import copy
from collections.abc import Iterator
from itertools import chain

import torch
from safetensors.torch import load, save
from torch import Tensor, nn


class PackedNetwork:
    """A network in evaluation mode, packed; unpacked it is a new one each time, on the CPU."""

    def __init__(self, network: nn.Module) -> None:
        self._content = save({name: held.detach().clone() for name, held in _tensors(network)})
        self._structure = copy.deepcopy(network).to("meta").eval()

    def unpack(self) -> nn.Module:
        """Return a network of the same structure and numbers."""
        network = copy.deepcopy(self._structure).to_empty(device="cpu")
        content = load(self._content)
        with torch.no_grad():
            for name, held in _tensors(network):
                held.copy_(content[name])
        return network


def _tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all numbers by name, those that no state dict holds too."""
    return chain(network.named_parameters(), network.named_buffers())
