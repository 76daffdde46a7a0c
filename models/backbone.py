"""A backbone: an SE network with its preprocessing, ready to turn pixels into taps.

Its fingerprint is the SHA-256 over its name, its preprocessing and every weight: what was fitted on
one backbone is meaningless on another, and the fingerprint is how that is noticed.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from models import preprocess, timm_networks
from models.preprocess import LITE0, Preparation
from models.se_lite0 import se_lite0
from models.taps import Tapped, Taps
from models.timm_networks import UnknownBackboneError

__all__ = ["BACKBONES", "Backbone", "UnknownBackboneError", "build"]


class Backbone:
    """An SE network in evaluation mode on one device, float32; 2-D convolutions channels last.

    Raises:
        NoGatesError: if the network has no SE block.
    """

    def __init__(
        self, name: str, network: nn.Module, preprocessing: Preparation, device: torch.device
    ) -> None:
        self.name = name
        self.preprocessing = preprocessing
        self.device = device
        self.fingerprint = _fingerprint(name, network, preprocessing)
        network = network.eval().requires_grad_(requires_grad=False)
        self._tapped = Tapped(network.to(device).to(memory_format=torch.channels_last))
        self.channels = self._tapped.channels

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared samples; tensors stay on the device."""
        with torch.inference_mode():
            inputs, weights = self.preprocessing.inputs(samples, self.device)
            return self._tapped(*inputs, weights=weights)


def _fingerprint(name: str, network: nn.Module, preprocessing: Preparation) -> str:
    digest = hashlib.sha256()
    digest.update("\n".join((name, preprocess.VERSION, str(preprocessing))).encode())
    for key, value in sorted(network.state_dict().items()):
        digest.update(f"{key}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


Builder = Callable[[Path | None], tuple[nn.Module, Preparation]]
BACKBONES: dict[str, Builder] = {"se-lite0": lambda weights: (se_lite0(weights), LITE0)}
"""Name -> from a file of weights (None: its own) to the network; ``timm:NAME`` goes beside it."""


def build(name: str, device: torch.device, weights: Path | None = None) -> Backbone:
    """Return the backbone of that name on a device.

    Args:
        name: one of ``BACKBONES``, or ``timm:`` and a name of timm's.
        device: where it runs.
        weights: a file; of gates for ``se-lite0``, of the whole network for one of timm's. None
            takes the shipped gates, or the weights of timm's hub.

    Raises:
        UnknownBackboneError: if there is none of that name.
        NoGatesError: if the network has no SE block.
        WeightsError: if its weights are missing, altered, out of reach or another network's.
    """
    made: tuple[nn.Module, Preparation]
    if name.startswith(timm_networks.PREFIX):
        made = timm_networks.create(name.removeprefix(timm_networks.PREFIX), weights)
    elif name in BACKBONES:
        made = BACKBONES[name](weights)
    else:
        names = ", ".join([*sorted(BACKBONES), f"{timm_networks.PREFIX}<a network of timm>"])
        raise UnknownBackboneError(f"no backbone {name!r}; there is: {names}")
    return Backbone(name, *made, device)
