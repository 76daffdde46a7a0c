"""What a detector says: where the line is drawn, and the verdict on one image."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where the line is drawn and why; an image is anomalous when its score lies above it."""

    value: float
    method: Literal["conformal", "manual"]
    target: float | None
    statement: str


@dataclass(frozen=True, slots=True)
class Region:
    """The worst cells that hang together, as fractions of the image, and their highest score."""

    left: float
    top: float
    width: float
    height: float
    peak: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a detector says of one image; some of it is None until the detector is calibrated.

    The contributions sum to the score. ``margin`` is score - threshold. ``cells`` is the map: for
    every cell of the grid, (side, side), the score of an otherwise typical image whose worst cells
    are like it, NaN outside the region of interest; None from a scorer without one, as is
    ``region``.
    """

    score: float
    contributions: dict[str, float]
    threshold: float | None
    margin: float | None
    p_value: float | None
    flagged: bool | None
    cells: Float[np.ndarray, "g g"] | None = None
    region: Region | None = None

    @property
    def word(self) -> Literal["normal", "anomalous", "uncalibrated"]:
        """The verdict in one word."""
        if self.flagged is None:
            return "uncalibrated"
        return "anomalous" if self.flagged else "normal"
