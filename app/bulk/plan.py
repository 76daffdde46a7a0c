"""What every process must do alike for the parts to add up: what is held out, what may be left out.

An image is held out of the fit, to calibrate on, by a hash of its bytes and a seed::

    u = SHA-256(seed, SHA-256(bytes)) / 2^256,    held out if u < share

so it depends on the image alone, not on the process that meets it, the order or the number of
shards, and copies of an image always lie on the same side. Of those held out the ``most`` of
smallest u are kept (``app.bulk.reservoir``): a uniform sample without replacement.
"""

import hashlib
from dataclasses import dataclass

from detector.errors import InvalidSpecError

MOST_KEPT = 100_000


@dataclass(frozen=True, slots=True)
class HoldOut:
    """How images to calibrate on are chosen.

    Attributes:
        share: of the images that is not fitted, in [0, 1).
        most: of these, how many are kept.
        seed: another one holds out others.

    Raises:
        InvalidSpecError: if the share or the number cannot be.
    """

    share: float = 0.1
    most: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise InvalidSpecError(f"the share held out is {self.share}: from 0 to below 1")
        if not 0 <= self.most <= MOST_KEPT:
            raise InvalidSpecError(f"{self.most} images to calibrate on: from 0 to {MOST_KEPT:,}")

    def key(self, sha256: str) -> int:
        """Return u of an image as an integer of 64 bits: its leading ones."""
        digest = hashlib.sha256(f"{self.seed}/{sha256}".encode()).digest()
        return int.from_bytes(digest[:8], "big")

    def holds(self, sha256: str) -> bool:
        """Return whether an image is held out of the fit."""
        return self.key(sha256) < self.share * 2**64


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may have been left out: a share of the images, and rests of damaged files."""

    most_failed: float = 0.5
    damaged: bool = False
