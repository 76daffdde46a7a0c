"""Parts added up as they come, in bounded memory: only lists of images grow, by their names.

The statistics have the size of a detector. Rows of held-out images are sifted now and then, not
with every part: each time all that are kept are copied.
"""

from app.bulk.part import Part
from app.bulk.reservoir import Reservoir
from app.results import Rejected
from app.storage.lineage import Image
from detector.statistics import Statistics, merge

SIFTED_IMAGES = 256
"""Held-out images that wait at most to be sifted."""


class Totals:
    """The sum of parts of one detector and plan."""

    def __init__(self, first: Part) -> None:
        self._like = first
        self._statistics: Statistics = {}
        self._fitted: list[Image] = []
        self._rejected: list[Rejected] = []
        self._held = Reservoir(first.hold_out.most)
        self._coming: list[Reservoir] = []
        self.images = 0
        self.add(first)

    @property
    def rejected(self) -> int:
        """How many images could not be used."""
        return len(self._rejected)

    def add(self, part: Part) -> None:
        """Add a part.

        Raises:
            PartsMismatchError: if it is of another detector or plan.
        """
        self._like.require_like(part)
        self._statistics = merge(self._statistics, part.statistics)
        self._fitted += part.fitted
        self._rejected += part.rejected
        self._coming.append(part.held)
        if sum(map(len, self._coming)) >= SIFTED_IMAGES:
            self._sift()
        self.images += part.images

    def whole(self) -> Part:
        """Return the part of all images.

        Raises:
            PartsMismatchError: if an image was added twice.
        """
        self._sift()
        like = self._like
        return Part(
            like.unfitted, like.hold_out, self._statistics, self._fitted, self._held, self._rejected
        ).ordered()

    def _sift(self) -> None:
        self._held = Reservoir.merged(self._held.most, [self._held, *self._coming])
        self._coming = []
