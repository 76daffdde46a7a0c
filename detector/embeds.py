"""What is asked of whatever embeds: an ``Embedder`` of this process, or devices elsewhere."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

from detector.embedding import Embedding


class Embeds(Protocol):
    """A backbone that answers in NumPy arrays; ``detector.embedder.Embedder`` says what each is."""

    @property
    def name(self) -> str:
        """Name of the backbone."""

    @property
    def device(self) -> str:
        """Kind of the device that it runs on."""

    @property
    def fingerprint(self) -> str:
        """Digest of the network, its weights and its preprocessing."""

    @property
    def channels(self) -> dict[str, int]:
        """Channels of each block, in the order in which they run."""

    @property
    def regional(self) -> tuple[str, ...]:
        """Blocks that are looked at by region."""

    @property
    def lanes(self) -> int:
        """Passes that are worth running at the same time."""

    @property
    def shares_cores(self) -> bool:
        """Whether its lanes are this processor's cores, side by side."""

    @property
    def best_batch(self) -> int:
        """Images of one pass, unless told."""

    def warm(self, side_px: int) -> bool:
        """Make ready for pictures of a size; return whether it is."""

    def engine_of(self, side_px: int) -> str:
        """Return what sees pictures of a size now."""

    def prepare(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        side_px: int,
        mask: UInt8[np.ndarray, "p q"] | None = None,
    ) -> UInt8[np.ndarray, "channels s s"]:
        """Return an image as the backbone is shown it; thread-safe."""

    def weights(self, mask: UInt8[np.ndarray, "p q"], side_px: int) -> UInt8[np.ndarray, "1 s s"]:
        """Return how much each pixel of a prepared image counts under a mask."""

    def embed(self, samples: Sequence[np.ndarray]) -> Embedding:
        """Return the embedding of prepared samples of one shape; thread-safe."""
