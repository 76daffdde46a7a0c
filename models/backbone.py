"""A backbone: an SE network with its preprocessing, ready to turn pixels into taps.

Its fingerprint is the SHA-256 over its name, its preprocessing and every weight: what was fitted on
one backbone is meaningless on another, and the fingerprint is how that is noticed. In bfloat16 it
is over precision, engine and device too: each rounds in its own places, and scores notice
(``models.precision``). In float32 all engines have one fingerprint.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import nn

from models import preprocess, timm_networks, torchvision_networks
from models.cuda_engine import CudaEngine
from models.engines import Engine, TorchEngine
from models.maps import BlockMap
from models.precision import Precision, PrecisionError
from models.preprocess import LITE0, Preparation, Preprocessing
from models.se_lite0 import se_lite0
from models.taps import Taps
from models.timm_networks import UnknownBackboneError

if TYPE_CHECKING:
    from models.graph_engine import GraphEngine

__all__ = [
    "BACKBONES",
    "Backbone",
    "EngineName",
    "MissingEngineError",
    "UnknownBackboneError",
    "build",
]

EngineName = Literal["torch", "onnx", "openvino"]


class MissingEngineError(Exception):
    """What the engine needs is not installed."""


class Backbone:
    """An SE network on one device with an engine that runs it.

    Args:
        name: enters the fingerprint.
        network: is taken over; in evaluation mode from here on.
        preprocessing: of the network.
        device: where it runs.
        engine: ``torch``; or ``onnx`` or ``openvino``, for networks that see images, on the CPU.
        cache: folder where the engines of graphs keep them; None keeps none.
        threads: CPU threads of one pass of a graph; None leaves the engine's choice.
        exports: whether graphs that are not kept yet are made.
        precision: what the network computes in; its taps are float32 always.

    Raises:
        NoGatesError: if the network has no SE block.
        MissingEngineError: if the engine is not installed.
        PrecisionError: if it does not compute in that precision here.
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
        precision: Precision = "float32",
    ) -> None:
        self.name = name
        self.preprocessing = preprocessing
        self.device = device
        rounding = "" if precision == "float32" else f"{precision} {engine} {device.type}"
        self.fingerprint = _fingerprint(name, network, preprocessing, rounding)
        self.precision = precision
        self.engine, self._reference = self._engines(
            network, engine, cache, threads, exports=exports
        )
        self.channels = self.engine.channels
        blank = [preprocessing.blank()]
        self.regional = tuple(self._reference.embed(blank).regional)
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
            made = CudaEngine if self.device.type == "cuda" else TorchEngine
            torch_engine = made(network, self.preprocessing, self.device, self.precision)
            return torch_engine, torch_engine
        assert isinstance(self.preprocessing, Preprocessing)
        graphs = _graph_engine(name)(
            network,
            self.preprocessing,
            fingerprint=self.fingerprint,
            folder=cache,
            threads=threads,
            exports=exports,
            precision=self.precision,
        )
        return graphs, graphs.reference

    def embed(self, samples: Sequence[np.ndarray]) -> Taps:
        """Return the taps of a batch of prepared samples, on the device or the CPU."""
        return self.engine.embed(samples)

    def maps(self, sample: np.ndarray) -> tuple[Taps, dict[str, BlockMap]]:
        """Return the taps of one prepared sample, and the map that each of its blocks saw.

        torch runs the network, whichever engine does otherwise.

        Raises:
            PrecisionError: if torch's taps must not meet the engine's: in bfloat16.
        """
        if self.engine is not self._reference and self.precision != "float32":
            raise PrecisionError(
                f"the engine '{self.engine.name}' shows no maps in {self.precision}: use precision "
                "float32, or the engine 'torch'"
            )
        return self._reference.maps(sample)


def _graph_engine(name: EngineName) -> "type[GraphEngine]":
    """Return the engine of that name, read only now: its runtime takes time and memory."""
    if name == "onnx":
        from models.onnx_engine import OnnxEngine

        return OnnxEngine
    try:
        from models.openvino_engine import OpenVinoEngine
    except ImportError as error:
        raise MissingEngineError(
            "the engine 'openvino' needs OpenVINO: pip install 'gatewatch[openvino]'"
        ) from error
    return OpenVinoEngine


def _fingerprint(
    name: str, network: nn.Module, preprocessing: Preparation, rounding: str = ""
) -> str:
    digest = hashlib.sha256()
    digest.update("\n".join((name, preprocess.VERSION, str(preprocessing))).encode())
    digest.update(rounding.encode())
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
    precision: Precision = "float32",
) -> Backbone:
    """Return the backbone of that name on a device.

    Args:
        name: one of ``BACKBONES``, or ``timm:`` and a name of timm's.
        device: where it runs.
        weights: a file; of gates for ``se-lite0``, of the whole network for the others. None
            takes the shipped gates, or the weights of timm's hub; torchvision's need a file.
        engine: what runs it, as ``Backbone`` has it; so are the others.
        cache: folder of the engine's graphs.
        threads: of one pass of a graph.
        exports: whether graphs are made.
        precision: what it computes in.

    Raises:
        UnknownBackboneError: if there is none of that name.
        NoGatesError: if the network has no SE block.
        WeightsError: if its weights are missing, altered, out of reach or another network's.
        MissingEngineError, PrecisionError: as ``Backbone`` does.
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
        name,
        *made,
        device,
        engine=engine,
        cache=cache,
        threads=threads,
        exports=exports,
        precision=precision,
    )
