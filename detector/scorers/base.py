"""What every scorer offers: rows to contributions, whose sum is the score; maps where it can."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from detector.descriptors import BlockRows
from detector.moments import Moments
from detector.options import Options
from detector.statistics import Statistics

Contributions = Float[np.ndarray, "n parts"]
Distances = Float[np.ndarray, "n k"]


@dataclass(frozen=True, slots=True)
class Slopes:
    """Contributions of one block as sums over the coordinates of its rows, about the normal row.

    For row x of n: contribution = sum_j slope_j (x_j - normal_j).
    """

    slope: Float[np.ndarray, "n d"]
    normal: Float[np.ndarray, " d"]


class Scorer(ABC):
    """Built from statistics, never changed; higher scores are always more anomalous.

    Attributes:
        descriptors: image-level or regional descriptors it can be asked to use; the first is its
            own choice.
        regional: whether it looks at regional rows besides its descriptor's.
        parts: names of the contributions, in order; known once built.
    """

    descriptors: ClassVar[tuple[str, ...]]
    regional: ClassVar[bool] = False
    parts: tuple[str, ...]

    @abstractmethod
    def __init__(self, statistics: Statistics, options: Options) -> None:
        """Prepare from what was fitted.

        Raises:
            DegenerateDataError: if the fitted rows define no distance.
        """

    @abstractmethod
    def contributions(self, rows: BlockRows) -> Contributions:
        """Return each part's share of the score, (n, parts), finite."""

    def assess(self, rows: BlockRows) -> tuple[Contributions, Distances | None]:
        """Return the contributions, and for every cell what the regional one would be.

        That is, if the image's worst cells were like it: (n, k), NaN outside the region of
        interest; None from a scorer that has no map.
        """
        return self.contributions(rows), None

    def coordinates(self, rows: BlockRows) -> dict[str, Slopes] | None:
        """Return what every coordinate of each block's rows contributes; None if it is no sum."""
        return None


def moments_of(statistics: Statistics) -> dict[str, Moments]:
    """Return the image-level moments, by block."""
    return {name: part for name, part in statistics.items() if isinstance(part, Moments)}
