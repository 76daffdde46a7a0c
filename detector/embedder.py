"""The one place that drives a backbone: uint8 images in, an embedding as NumPy arrays out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from detector.embedding import Embedding
from detector.errors import BackboneError, InvalidMaskError
from models import backbone
from models.checkpoints import WeightsError
from models.gate_finder import NoGatesError

Prepared = UInt8[np.ndarray, "channels s s"]
"""Red, green, blue, and a fourth channel where a mask says how much each pixel counts."""

THUMBNAIL_PX = 64
_DRY_RUN_PX = 256

BACKBONES = tuple(backbone.BACKBONES)
"""Names of the embedded backbones; ``timm:NAME`` is one where timm is installed."""


class Embedder:
    """A backbone on a device.

    Args:
        name: of the backbone: ``se-lite0``, or ``timm:NAME`` with a network of timm's.
        device: ``auto`` (CUDA when present), ``cpu`` or ``cuda``.
        threads: CPU threads of one pass; None leaves torch's choice.
        weights: file of the backbone's weights: its gates for ``se-lite0``, all of them for a
            network of timm's. None takes those shipped, or those of timm's hub.

    Raises:
        BackboneError: if the backbone is unknown or has no gates, its weights are wrong or out of
            reach, or the device is missing.
    """

    def __init__(
        self,
        name: str = "se-lite0",
        device: str = "auto",
        threads: int | None = None,
        weights: Path | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise BackboneError("no CUDA device is available: use device 'cpu' or 'auto'")
        try:
            self._backbone = backbone.build(name, torch.device(device), weights)
        except (WeightsError, NoGatesError, backbone.UnknownBackboneError) as error:
            raise BackboneError(str(error)) from error
        self.name = name
        self.device = device
        self.fingerprint = self._backbone.fingerprint
        self.channels = self._backbone.channels
        blank = np.zeros((3, _DRY_RUN_PX, _DRY_RUN_PX), np.uint8)
        self.regional = tuple(self.embed([blank]).regional)
        """The blocks whose outputs are kept by region: the ends of stages, strides 4 to 16."""
        # On a CPU larger batches cost more per image: their activations leave the caches and are
        # allocated anew each time. A GPU wants them larger.
        self.best_batch = 32 if device == "cuda" else 4

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
        """
        prepared = self._backbone.preprocessing.resize(image, side_px)
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
        weights = self._backbone.preprocessing.resize(full, side_px)
        if not weights.any():
            raise InvalidMaskError("the mask leaves nothing of the image: white is what counts")
        return weights

    def embed(self, images: Sequence[Prepared]) -> Embedding:
        """Return the embedding of prepared images of one shape; one at a time, one thread."""
        pixels = torch.from_numpy(np.stack(images))
        taps = self._backbone.embed(pixels)
        blocks = taps.blocks.items()
        gate, mean, std, maximum = (
            {block: _array(getattr(tap, name)) for block, tap in blocks}
            for name in ("gate", "mean", "std", "maximum")
        )
        regional = {block: _array(cells) for block, cells in taps.regional.items()}
        return Embedding(gate, mean, std, maximum, regional, _thumbnails(pixels[:, :3]))


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.float().cpu().numpy()
    return array


def _thumbnails(pixels: UInt8[Tensor, "b 3 s s"]) -> np.ndarray:
    small = functional.interpolate(
        pixels, size=(THUMBNAIL_PX, THUMBNAIL_PX), mode="bilinear", antialias=True
    )
    thumbnails: np.ndarray = small.numpy()
    return thumbnails
