"""The one place that drives a backbone: uint8 images in, an embedding as NumPy arrays out.

An embedding holds, for every tapped SE block, the gates and the squeeze statistics of a batch. It
belongs to the images, not to a detector: one pass serves every detector on the same backbone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from detector.errors import BackboneError
from models import backbone, preprocess
from models.checkpoints import WeightsError

Rows = Float32[np.ndarray, "n c"]

BACKBONES = tuple(backbone.BACKBONES)
"""Names of the backbones there are."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """Gates and squeeze statistics of n images: block -> (n, c), float32."""

    gate: dict[str, Rows]
    mean: dict[str, Rows]
    std: dict[str, Rows]
    maximum: dict[str, Rows]

    def __len__(self) -> int:
        return len(next(iter(self.gate.values())))

    def image(self, index: int) -> "Embedding":
        """Return the embedding of one image, n = 1."""
        chosen = slice(index, index + 1)
        parts = (self.gate, self.mean, self.std, self.maximum)
        return Embedding(*({block: rows[chosen] for block, rows in part.items()} for part in parts))

    @classmethod
    def concatenate(cls, parts: Sequence["Embedding"]) -> "Embedding":
        """Return the embeddings of several batches as one, in order; at least one is needed."""
        return cls(
            *(
                {
                    block: np.concatenate([getattr(part, name)[block] for part in parts])
                    for block in parts[0].gate
                }
                for name in ("gate", "mean", "std", "maximum")
            )
        )


class Embedder:
    """A backbone on a device.

    Args:
        name: of the backbone, as ``se-lite0``.
        device: ``auto`` (CUDA when present), ``cpu`` or ``cuda``.
        threads: CPU threads of one pass; None leaves torch's choice.

    Raises:
        BackboneError: if the backbone is unknown, its weights are wrong or the device is missing.
    """

    def __init__(
        self, name: str = "se-lite0", device: str = "auto", threads: int | None = None
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise BackboneError("no CUDA device is available: use device 'cpu' or 'auto'")
        try:
            self._backbone = backbone.build(name, torch.device(device))
        except (WeightsError, backbone.UnknownBackboneError) as error:
            raise BackboneError(str(error)) from error
        self.name = name
        self.device = device
        self.fingerprint = self._backbone.fingerprint
        self.channels = self._backbone.channels
        # On a CPU larger batches cost more per image: their activations leave the caches and are
        # allocated anew each time. A GPU wants them larger.
        self.best_batch = 32 if device == "cuda" else 4

    @staticmethod
    def prepare(image: UInt8[np.ndarray, "h w 3"], side_px: int) -> UInt8[np.ndarray, "3 s s"]:
        """Return an RGB image resized to the network's square input; thread-safe."""
        return preprocess.resize(image, side_px)

    def embed(self, images: Sequence[UInt8[np.ndarray, "3 s s"]]) -> Embedding:
        """Return the embedding of prepared images of one side; one at a time, one thread."""
        taps = self._backbone.embed(torch.from_numpy(np.stack(images)))
        return Embedding(
            *(
                {block: getattr(tap, name).float().cpu().numpy() for block, tap in taps.items()}
                for name in ("gate", "mean", "std", "maximum")
            )
        )
