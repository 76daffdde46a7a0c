"""What the traffic is compared with: normal images in order of time."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from detector.drift.autocorrelation import Thinning
from detector.errors import InvalidSpecError

INPUTS = ("brightness", "contrast", "sharpness")


@dataclass(frozen=True)
class Baseline:
    """Normal images in order of time, with which the traffic is compared.

    Attributes:
        scores: of all of them, (m,).
        line: above it an image is flagged, and is the business of ``rate`` alone.
        inputs: brightness, contrast and sharpness of each, (m, 3), in any units; None: not watched.
        groups: lot, session or camera of each; needed if images are monitored by group.

    Raises:
        InvalidSpecError: if numbers are not finite or not as many, or all lie above the line.
    """

    scores: Float[np.ndarray, " m"]
    line: float
    inputs: Float[np.ndarray, "m 3"] | None = None
    groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        inputs = np.zeros((len(self.scores), 3)) if self.inputs is None else self.inputs
        if not (np.isfinite(self.scores).all() and np.isfinite(inputs).all()):
            raise InvalidSpecError("baseline: all scores and inputs must be finite numbers")
        if len(inputs) != len(self.scores):
            raise InvalidSpecError(
                f"baseline: {len(self.scores)} scores, but inputs of {len(inputs)} images"
            )
        if not (self.scores <= self.line).any():
            raise InvalidSpecError("baseline: at least one image must not be above the line")

    def kept(self, thinning: Thinning) -> "Baseline":
        """Return the images that a thinning leaves; all up to the line if it leaves none there.

        Raises:
            InvalidSpecError: if it is by group and groups are missing.
        """
        which = thinning.kept(len(self.scores), self.groups)
        if not (self.scores[which] <= self.line).any():
            which = np.flatnonzero(self.scores <= self.line)
        inputs = None if self.inputs is None else self.inputs[which]
        return Baseline(self.scores[which], self.line, inputs)
