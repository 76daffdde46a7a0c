"""A backbone: an SE network with its preprocessing, ready to turn pixels into taps.

Its fingerprint is the SHA-256 over its name, its preprocessing and every weight: what was fitted on
one backbone is meaningless on another, and the fingerprint is how that is noticed.
"""

import hashlib
from collections.abc import Callable

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from models import preprocess
from models.se_lite0 import se_lite0
from models.taps import Tap, Tapped


class UnknownBackboneError(Exception):
    """No backbone has this name; the message lists those that exist."""


class Backbone:
    """An SE network in evaluation mode on one device, channels last, float32."""

    def __init__(self, name: str, network: nn.Module, device: torch.device) -> None:
        self.name = name
        self.device = device
        self.fingerprint = _fingerprint(name, network)
        network = network.eval().requires_grad_(requires_grad=False)
        self._tapped = Tapped(network.to(device).to(memory_format=torch.channels_last))
        self.channels = self._tapped.channels

    def embed(self, pixels: UInt8[Tensor, "b 3 s s"]) -> dict[str, Tap]:
        """Return the taps of a batch of prepared images, by block; tensors stay on the device."""
        pixels = pixels.to(self.device, non_blocking=True)
        with torch.inference_mode():
            x = preprocess.normalise(pixels).contiguous(memory_format=torch.channels_last)
            return self._tapped(x)


def _fingerprint(name: str, network: nn.Module) -> str:
    digest = hashlib.sha256()
    parts = (name, preprocess.VERSION, str(preprocess.MEAN), str(preprocess.DEVIATION))
    digest.update("\n".join(parts).encode())
    for key, value in sorted(network.state_dict().items()):
        digest.update(f"{key}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


BACKBONES: dict[str, Callable[[], nn.Module]] = {"se-lite0": se_lite0}


def build(name: str, device: torch.device) -> Backbone:
    """Return the backbone of that name on a device.

    Raises:
        UnknownBackboneError: if there is none of that name.
        WeightsError: if its weights are missing or altered.
    """
    if name not in BACKBONES:
        raise UnknownBackboneError(
            f"no backbone {name!r}; there is: {', '.join(sorted(BACKBONES))}"
        )
    return Backbone(name, BACKBONES[name](), device)
