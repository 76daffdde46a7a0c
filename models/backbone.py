"""A backbone: an SE network with its preprocessing, ready to turn pixels into taps.

Its fingerprint is the SHA-256 over its name, its preprocessing and every weight: what was fitted on
one backbone is meaningless on another, and the fingerprint is how that is noticed.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from models import preprocess, timm_networks, torchvision_networks
from models.engines import Engine, TorchEngine
from models.preprocess import LITE0, Preparation, Preprocessing
from models.se_lite0 import se_lite0
from models.taps import Taps
from models.timm_networks import UnknownBackboneError

__all__ = ["BACKBONES", "Backbone", "EngineName", "UnknownBackboneError", "build"]

EngineName = Literal["torch", "onnx"]


class Backbone:
    """An SE network on one device with an engine that runs it.

    Args:
        name: enters the fingerprint.
        network: is taken over; in evaluation mode from here on.
        preprocessing: of the network.
        device: where it runs.
        engine: ``torch``, or ``onnx`` for networks that see images, on the CPU.
        cache: folder where the ONNX engine keeps its graphs; None keeps none.
        threads: CPU threads of one pass of the ONNX engine; None leaves its choice.
        exports: whether the ONNX engine makes graphs that are not kept yet.

    Raises:
        NoGatesError: if the network has no SE block.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        preprocessing: Preparation,
        device: torch.device,
        *,
        engine: EngineName = "torch",
        cache: Path | None = None,
        threads: int | None = None,
        exports: bool = True,
    ) -> None:
        self.name = name
        self.preprocessing = preprocessing
        self.device = device
        self.fingerprint = _fingerprint(name, network, preprocessing)
        self.engine, reference = self._engines(network, engine, cache, threads, exports=exports)
        self.channels = self.engine.channels
        blank = [preprocessing.blank()]
        self.regional = tuple(reference.embed(blank).regional)
        """The blocks whose outputs are kept by region: the ends of stages, strides 4 to 16."""

    def _engines(
        self,
        network: nn.Module,
        name: EngineName,
        cache: Path | None,
        threads: int | None,
        *,
        exports: bool,
    ) -> tuple[Engine, TorchEngine]:
        """Return the engine of that name, and torch's of the same network."""
        if name == "torch":
            torch_engine = TorchEngine(network, self.preprocessing, self.device)
            return torch_engine, torch_engine
        # Here, for who runs on torch need not wait for the runtime to be read.
        from models.onnx_engine import OnnxEngine

        assert isinstance(self.preprocessing, Preprocessing)
        onnx = OnnxEngine(
            network,
            self.preprocessing,
            fingerprint=self.fingerprint,
            folder=cache,
            threads=threads,
            exports=exports,
        )
        return onnx, onnx.reference

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared samples; tensors stay on the device."""
        return self.engine.embed(samples)


def _fingerprint(name: str, network: nn.Module, preprocessing: Preparation) -> str:
    digest = hashlib.sha256()
    digest.update("\n".join((name, preprocess.VERSION, str(preprocessing))).encode())
    for key, value in sorted(network.state_dict().items()):
        digest.update(f"{key}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


Builder = Callable[[Path | None], tuple[nn.Module, Preparation]]
BACKBONES: dict[str, Builder] = {
    "se-lite0": lambda weights: (se_lite0(weights), LITE0),
    **torchvision_networks.BACKBONES,
}
"""Name -> from a file of weights (None: its own) to the network; ``timm:NAME`` goes beside it."""


def build(
    name: str,
    device: torch.device,
    weights: Path | None = None,
    *,
    engine: EngineName = "torch",
    cache: Path | None = None,
    threads: int | None = None,
    exports: bool = True,
) -> Backbone:
    """Return the backbone of that name on a device.

    Args:
        name: one of ``BACKBONES``, or ``timm:`` and a name of timm's.
        device: where it runs.
        weights: a file; of gates for ``se-lite0``, of the whole network for the others. None
            takes the shipped gates, or the weights of timm's hub; torchvision's need a file.
        engine: what runs it, as ``Backbone`` has it; so are the others.
        cache: folder of the ONNX engine's graphs.
        threads: of one pass of the ONNX engine.
        exports: whether it makes graphs.

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
        theirs = torchvision_networks.BACKBONES
        complete = sorted(BACKBONES.keys() - theirs.keys())
        names = [*complete, f"{timm_networks.PREFIX}<a network of timm>", *theirs]
        raise UnknownBackboneError(f"no backbone {name!r}; there is: {', '.join(names)}")
    return Backbone(
        name, *made, device, engine=engine, cache=cache, threads=threads, exports=exports
    )
