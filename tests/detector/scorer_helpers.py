"""Every scorer with its descriptors and options, fitted to synthetic embeddings."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from embedding_helpers import changed, fitted_to

from detector.detector import Detector
from detector.embedding import Embedding
from detector.options import Options
from detector.scorers import SCORERS
from detector.spec import Spec

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "l2": {"normalise": "l2"},
    "zscore": {"normalise": "zscore"},
    "diagonal": {"covariance": "diagonal"},
    "diagonal zscore": {"covariance": "diagonal", "normalise": "zscore"},
    "free": {"aligned": False},
    "memory": {"memory": 20},
    "one block": {"blocks": ("second",)},
}
MATTERS = {
    "fusion": set(VARIANTS),
    "gaussian": {"plain", "l2", "zscore", "diagonal", "diagonal zscore", "one block"},
    "regional": {"plain", "free", "memory"},
    "kl": {"plain"},
    "prototype": {"plain", "l2", "zscore", "one block"},
}
"""What to try of each scorer; of one that is not listed, everything."""


@dataclass(frozen=True)
class Case:
    """A scorer, a descriptor of its own, options, and whether cells are outside of the region."""

    scorer: str
    descriptor: str
    variant: str
    region: bool

    def __str__(self) -> str:
        return "-".join((self.scorer, self.descriptor, self.variant, *["region"] * self.region))

    @property
    def empty(self) -> Detector:
        """A detector that has seen nothing."""
        options = Options(**VARIANTS[self.variant])
        return Detector(Spec("a", "b", "f", self.scorer, self.descriptor, options=options))

    def fitted(self, embedding: Embedding) -> Detector:
        """Return the detector fitted to an embedding, in the case's region."""
        return fitted_to(self.empty, self.seen(embedding))

    def seen(self, embedding: Embedding) -> Embedding:
        """Return the embedding with its first row of cells outside, and some of each image's."""
        if not self.region:
            return embedding

        def outside(part: str, rows: np.ndarray) -> np.ndarray:
            if part != "regional":
                return rows
            cut = rows.copy()
            cut[:, :4] = np.nan
            cut[np.arange(len(rows)), 5 + np.arange(len(rows)) % 9] = np.nan
            return cut

        return changed(embedding, outside)


CASES = [
    Case(name, descriptor, variant, region)
    for name, scorer in SCORERS.items()
    for descriptor in scorer.descriptors
    for variant in VARIANTS
    if variant in MATTERS.get(name, VARIANTS)
    # All descriptors plainly; options with the scorer's own.
    if variant == "plain" or descriptor == scorer.descriptors[0]
    for region in ([False, True] if scorer.regional or descriptor == "regional" else [False])
]


def moved(embedding: Embedding, distance: float) -> Embedding:
    """Return the embedding with every row moved one way.

    Gates are moved in their logit, so they stay gates; thumbnails stay.
    """

    def move(part: str, rows: np.ndarray) -> np.ndarray:
        if part == "thumbnail":
            return rows
        alternating = np.where(np.arange(rows.shape[-1]) % 2, -0.7, 1.0)
        if part == "gate":
            logit = np.log(rows) - np.log1p(-rows) + 0.2 * distance * alternating
            return (1 / (1 + np.exp(-logit))).astype(np.float32)
        return (rows + distance * alternating).astype(np.float32)

    return changed(embedding, move)
