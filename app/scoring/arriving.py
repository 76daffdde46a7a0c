"""What is asked of a sample, what it is on its way, and what has arrived of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import InferenceError
from app.scoring.queue import Embedded, Prepared
from detector.embedding import Embedding
from detector.embeds import Embeds
from detector.errors import SampleError
from detector.kinds.learned import Learned

Failure = SampleError | InferenceError


@dataclass(frozen=True, slots=True)
class Look:
    """How samples are looked at: side of the square, mask over each, whether mirrored too.

    Samples of other kinds than images are looked at by a network of their own.
    """

    side_px: int
    mask: NDArray[np.uint8] | None = None
    mirrored: bool = False
    network: Learned | None = None

    @property
    def embeds(self) -> Embeds | None:
        """What embeds; None for the service's backbone."""
        return None if self.network is None else self.network.embedder


@dataclass(frozen=True, slots=True)
class Arrived:
    """One image's embedding, the digest of its file, and the seconds it took to get there."""

    embedding: Embedding
    sha256: str
    decode_s: float
    queue_s: float
    forward_s: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """A prepared image, the digest of its file, and the seconds it took."""

    image: Prepared
    sha256: str
    decode_s: float

    def arrived(self, embedded: Embedded) -> Arrived:
        """Return it with its embedding."""
        return Arrived(
            embedded.embedding, self.sha256, self.decode_s, embedded.queue_s, embedded.forward_s
        )
