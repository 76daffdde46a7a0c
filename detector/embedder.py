"""The one place that drives a backbone: prepared samples in, an embedding as NumPy arrays out."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from detector.device_errors import of_device
from detector.embedding import Embedding
from detector.errors import (
    BackboneError,
    EngineNotReadyError,
    InvalidMaskError,
)
from detector.input_statistics import input_statistics
from models import backbone
from models.checkpoints import WeightsError
from models.gate_finder import NoGatesError
from models.graph_engine import NotReadyError
from models.maps import BlockMap
from models.precision import Precision, PrecisionError
from models.preprocess import Preprocessing
from models.taps import Taps

Prepared = UInt8[np.ndarray, "channels s s"]
"""Red, green, blue, and a fourth channel where a mask says how much each pixel counts."""

EngineChoice = Literal["auto", "torch", "onnx", "openvino"]

_T = TypeVar("_T")

_NOT_BUILT = (
    WeightsError,
    NoGatesError,
    PrecisionError,
    backbone.MissingEngineError,
    backbone.UnknownBackboneError,
)


class Preparer:
    """What a backbone has done to images before it sees them; goes where no network is."""

    def __init__(self, network: backbone.Backbone) -> None:
        self._name = network.name
        self._preprocessing = network.preprocessing

    def prepare(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        side_px: int,
        mask: UInt8[np.ndarray, "p q"] | None = None,
    ) -> Prepared:
        """Return an RGB image resized to the network's square input; thread-safe.

        A mask of any size becomes a fourth channel: how much each pixel counts, 0 not at all. Only
        its proportions matter: it is brought to 255 at most.

        Raises:
            InvalidMaskError: if the mask leaves nothing of the image.
            BackboneError: if the backbone does not see images.
        """
        prepared = self._images().resize(image, side_px)
        if mask is None:
            return prepared
        return np.concatenate([prepared, self.weights(mask, side_px)])

    def weights(self, mask: UInt8[np.ndarray, "p q"], side_px: int) -> UInt8[np.ndarray, "1 s s"]:
        """Return how much each pixel of a prepared image counts under a mask.

        Raises:
            InvalidMaskError: if the mask leaves nothing of the image.
        """
        highest = max(int(mask.max(initial=0)), 1)
        full = np.rint(mask * (255.0 / highest)).astype(np.uint8)[:, :, None]
        weights = self._images().resize(full, side_px)
        if not weights.any():
            raise InvalidMaskError("the mask leaves nothing of the image: white is what counts")
        return weights

    def _images(self) -> Preprocessing:
        if not isinstance(self._preprocessing, Preprocessing):
            raise BackboneError(f"{self._name} does not see images")
        return self._preprocessing


class Embedder:
    """A backbone that answers in NumPy arrays; of any kind of sample its preparation knows."""

    def __init__(self, network: backbone.Backbone) -> None:
        self._backbone = network
        self.name = network.name
        self.device = network.device.type
        self.fingerprint = network.fingerprint
        self.channels = network.channels
        self.engine = network.engine.name
        self.precision = network.precision
        self.lanes = network.engine.lanes
        self.regional = network.regional
        self.preparer = Preparer(network)
        # On a CPU large batches cost more per image: their activations leave the caches and are
        # allocated anew each time. Four cost some 6 % less than one. A GPU wants them larger.
        # Passes beside each other are of more than one where that is the same to the bit, as for
        # ONNX: else what is made of a picture would depend on who came at the same moment.
        alone = self.lanes > 1 and self.engine != "onnx"
        self.best_batch = 32 if self.device == "cuda" else 1 if alone else 4

    @property
    def shares_cores(self) -> bool:
        """Whether its lanes are this processor's cores, side by side."""
        return self.device == "cpu" and self.lanes > 1

    @classmethod
    def load(
        cls,
        name: str = "se-lite0",
        device: str = "auto",
        threads: int | None = None,
        weights: Path | None = None,
        engine: EngineChoice = "torch",
        cache: Path | None = None,
        exports: bool = True,
        precision: Precision = "float32",
    ) -> "Embedder":
        """Return the embedder of a backbone by name.

        Args:
            name: of the backbone: one of ``BACKBONES``, or ``timm:NAME``, a network of timm's.
            device: ``auto`` (CUDA when present), ``cpu`` or ``cuda``.
            threads: CPU threads of one pass; None leaves torch's choice.
            weights: file of the backbone's weights: its gates for ``se-lite0``, all of them for
                the others. None takes those shipped, or those of timm's hub; torchvision's
                networks need one.
            engine: ``auto`` takes torch on CUDA; on the CPU ONNX Runtime, and for bfloat16, which
                that has not, OpenVINO.
            cache: folder where the CPU's engines keep their graphs; None keeps none.
            exports: whether they make graphs that are not kept yet, in the background.
            precision: what the network computes in; ``bfloat16`` makes another fingerprint.

        Raises:
            BackboneError: if the backbone is unknown or has no gates, its weights are wrong or out
                of reach, the device is missing, or the engine is missing, of another device or
                without that precision.
        """
        if threads is not None:
            torch.set_num_threads(threads)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise BackboneError("no CUDA device is available: use device 'cpu' or 'auto'")
        if engine == "auto" and device == "cpu":
            engine = "onnx" if precision == "float32" else "openvino"
        elif engine == "auto":
            engine = "torch"
        if engine != "torch" and device != "cpu":
            raise BackboneError(
                f"the engine '{engine}' runs on the CPU: use engine 'auto' or 'torch'"
            )
        try:
            made = backbone.build(
                name,
                torch.device(device),
                weights,
                engine=engine,
                cache=cache,
                threads=threads,
                exports=exports,
                precision=precision,
            )
            return cls(made)
        except _NOT_BUILT as error:
            raise BackboneError(str(error)) from error

    def warm(self, side_px: int, *, masked: bool = False, wait: bool = False) -> bool:
        """Make the engine ready for pictures of a size; return whether it is.

        What takes long goes on in the background, unless one waits for it; pictures are embedded
        all the same meanwhile.
        """
        return self._backbone.engine.warm(4 if masked else 3, side_px, wait=wait)

    def engine_of(self, side_px: int) -> str:
        """Return what sees pictures of a size now."""
        return self.engine if self.warm(side_px) else "torch"

    def prepare(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        side_px: int,
        mask: UInt8[np.ndarray, "p q"] | None = None,
    ) -> Prepared:
        """Return an RGB image resized to the network's square input; thread-safe.

        Raises:
            InvalidMaskError, BackboneError: as ``Preparer.prepare``.
        """
        return self.preparer.prepare(image, side_px, mask)

    def weights(self, mask: UInt8[np.ndarray, "p q"], side_px: int) -> UInt8[np.ndarray, "1 s s"]:
        """Return how much each pixel of a prepared image counts under a mask.

        Raises:
            InvalidMaskError: if the mask leaves nothing of the image.
        """
        return self.preparer.weights(mask, side_px)

    def embed(self, samples: Sequence[np.ndarray]) -> Embedding:
        """Return the embedding of prepared samples, images of one shape; thread-safe.

        ``lanes`` passes are worth running at the same time.

        Raises:
            DeviceMemoryError: if so many do not fit into the device's memory.
            DeviceLostError: if the device will fail at everything from now on.
            EngineNotReadyError: if the engine is still being made ready for samples of this shape.
            BackboneError: if the engine cannot be made ready for them.
        """
        return _told(lambda: self._embedding(self._backbone.embed(samples), samples))

    def maps(self, sample: np.ndarray) -> tuple[Embedding, dict[str, BlockMap]]:
        """Return the embedding of one prepared sample, and the map that each of its blocks saw.

        Raises:
            BackboneError: if the engine computes in bfloat16 and is not torch; else as ``embed``.
        """
        taps, maps = _told(lambda: self._backbone.maps(sample))
        return _told(lambda: self._embedding(taps, [sample])), maps

    def _embedding(self, taps: Taps, samples: Sequence[np.ndarray]) -> Embedding:
        blocks = taps.blocks.items()
        gate, mean, std, maximum = (
            {block: _array(getattr(tap, name)) for block, tap in blocks}
            for name in ("gate", "mean", "std", "maximum")
        )
        regional = {block: _array(cells) for block, cells in taps.regional.items()}
        preparation = self._backbone.preprocessing
        inputs = input_statistics(samples) if isinstance(preparation, Preprocessing) else None
        thumbnails = preparation.thumbnails(samples)
        return Embedding(gate, mean, std, maximum, regional, thumbnails, inputs)


def _told(run: Callable[[], _T]) -> _T:
    """Return what a pass gives; its errors become those that ``Embedder.embed`` names."""
    try:
        return run()
    except NotReadyError as error:
        raise EngineNotReadyError(str(error)) from error
    except PrecisionError as error:
        raise BackboneError(str(error)) from error
    except Exception as error:
        failure = of_device(error)
        if failure is None:
            raise
    # Not from within: an error that knew the first one would keep, by its traceback, the tensors
    # that are in the way of whoever tries again with fewer.
    raise failure


def _array(tensor: Tensor) -> np.ndarray:
    # ``cpu`` lets go of the interpreter even if there is nothing to do, once for each of some 70
    # tensors an image, and others take it.
    if tensor.dtype is not torch.float32 or not tensor.is_cpu:
        tensor = tensor.float().cpu()
    array: np.ndarray = tensor.numpy()
    return array
