"""What a replica that takes requests has in place of an embedder: it asks devices elsewhere.

A device replica that dies, or leaves, with images on it has done nothing that matters: they are
sent to another. If none has answered after ``PATIENCE_S``, the request is refused as under
overload, to be repeated, and a fit waits. From then on until an answer comes one call at a time
asks, and all others are refused at once.
"""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from app.errors import OverloadedError
from app.ray.backbones import Card
from detector.embedder import Prepared
from detector.embedding import Embedding
from detector.errors import FingerprintMismatchError

PATIENCE_S = 20.0
"""How long images are offered to devices: less than a stage may take without being stuck."""
PAUSE_S = 0.2
"""Between two attempts."""
RETRY_AFTER_S = 5
"""After how long a client may come again when there was no device: one that starts loads first."""
CALLS = 8
"""Calls of one replica under way: they hide each other's way over the network."""
IMAGES = 4
"""Images of one call; a device puts calls together as it likes."""


class GoneError(Exception):
    """The device replica that was asked can answer no more; another one can."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An embedding, and what made it."""

    embedding: Embedding
    engine: str


class Ask(Protocol):
    """Asks one device replica; may be called on any thread."""

    def __call__(self, images: NDArray[np.uint8], timeout_s: float) -> Answer:
        """Return the answer for prepared images, stacked.

        Raises:
            GoneError: if the replica is gone.
            TimeoutError: if none has answered in time.
            OverloadedError: if it cannot take the images now.
            DetectorError: whatever else the device says of them.
        """


class RemoteEmbedder:
    """Has the surface of ``detector.embedder.Embedder`` that the service uses."""

    lanes = CALLS
    shares_cores = False  # they wait for devices elsewhere
    best_batch = IMAGES

    def __init__(
        self, card: Card, ask: Ask, *, patience_s: float = PATIENCE_S, pause_s: float = PAUSE_S
    ) -> None:
        self.name = card.name
        self.device = card.device
        self.fingerprint = card.fingerprint
        self.channels = card.channels
        self.regional = card.regional
        self._preparer = card.preparer
        self._engine = card.engine
        self._ask = ask
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._silent_s = math.inf
        """When the first call was begun after which no device has answered."""
        self._asking = threading.Lock()
        """Held by the call that asks though no device has answered for long."""
        self.why_outdated: list[str] = []
        """Why only one that asks for the devices' card anew could go on; nothing if this can."""

    def warm(self, side_px: int) -> bool:
        """Do nothing: devices warm up by themselves."""
        return True

    def engine_of(self, side_px: int) -> str:
        """Return what saw the last pictures, of whatever size."""
        return self._engine

    def prepare(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        side_px: int,
        mask: UInt8[np.ndarray, "p q"] | None = None,
    ) -> Prepared:
        """Return an image as the backbone is shown it; done here, not on the device.

        Raises:
            InvalidMaskError, BackboneError: as ``detector.embedder.Preparer``.
        """
        return self._preparer.prepare(image, side_px, mask)

    def weights(self, mask: UInt8[np.ndarray, "p q"], side_px: int) -> UInt8[np.ndarray, "1 s s"]:
        """Return how much each pixel of a prepared image counts under a mask.

        Raises:
            InvalidMaskError: if the mask leaves nothing of the image.
        """
        return self._preparer.weights(mask, side_px)

    def embed(self, samples: Sequence[np.ndarray]) -> Embedding:
        """Return the embedding of prepared samples of one shape; thread-safe.

        Raises:
            OverloadedError: if no device has answered in time, or one cannot take them now.
            FingerprintMismatchError: if the devices' backbone is not the one of the card.
            DetectorError: whatever else the device says of them.
        """
        images = np.stack(samples)
        if time.monotonic() - self._silent_s < self._patience_s:
            return self._embed(images)
        if not self._asking.acquire(blocking=False):
            raise _nobody()
        try:
            return self._embed(images)
        finally:
            self._asking.release()

    def _embed(self, images: NDArray[np.uint8]) -> Embedding:
        began_s = time.monotonic()
        while (left_s := began_s + self._patience_s - time.monotonic()) > 0:
            try:
                answer = self._ask(images, left_s)
            except TimeoutError:
                break
            except GoneError:
                time.sleep(self._pause_s)
            except Exception as error:  # an answer, too
                self._silent_s = math.inf
                if isinstance(error, FingerprintMismatchError):
                    self.why_outdated = [str(error)]
                raise
            else:
                self._silent_s, self._engine = math.inf, answer.engine
                return answer.embedding
        self._silent_s = min(self._silent_s, began_s)
        raise _nobody()


def _nobody() -> OverloadedError:
    return OverloadedError("no device answers just now: repeat the request later", RETRY_AFTER_S)
