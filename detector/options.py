"""Options of a detector: how rows are made, normalised and modelled; each has a measured default.

The ablation (docs/ablation.md) says what each is worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from detector.errors import InvalidSpecError

Normalise = Literal["none", "l2", "zscore"]
Covariance = Literal["full", "diagonal"]

MAX_MEMORY, MAX_EVIDENCE = 20_000, 1_000


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen besides descriptor and scorer.

    Attributes:
        normalise: of each image-level row: ``l2`` divides it by its length before anything is
            learnt; ``zscore`` divides each channel by its fitted standard deviation.
        blocks: names of the backbone's blocks that are looked at; empty for all.
        covariance: of the Gaussian; ``diagonal`` ignores correlations.
        aligned: whether every cell of the grid has its own mean, and every square of four its own
            covariance, as fits parts that lie alike in every picture, or all cells share one.
        memory: how many regional rows the regional score keeps as nearest-neighbour memory instead
            of its Gaussians; 0 for none.
        flips: whether fitting also sees every image mirrored left to right, upside down and both.
        evidence: how many fitted images' thumbnails are kept, to show the nearest; 0 for none.

    Raises:
        InvalidSpecError: if a value is not one that exists.
    """

    normalise: Normalise = "none"
    blocks: Sequence[str] = ()
    covariance: Covariance = "full"
    aligned: bool = True
    memory: int = 0
    flips: bool = False
    evidence: int = 64

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))  # a list when read from JSON
        for name, known in (("normalise", Normalise), ("covariance", Covariance)):
            value = getattr(self, name)
            if value not in get_args(known):
                raise InvalidSpecError(
                    f"{name} is {value!r}; there is: {', '.join(get_args(known))}"
                )
        if not 0 <= self.memory <= MAX_MEMORY:
            raise InvalidSpecError(f"memory must be 0 to {MAX_MEMORY} rows, got {self.memory}")
        if not 0 <= self.evidence <= MAX_EVIDENCE:
            raise InvalidSpecError(f"evidence must be 0 to {MAX_EVIDENCE}, got {self.evidence}")
