"""Calibration: the scores of held-out normal images, from which every threshold is chosen."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import betaincinv

from detector.errors import InvalidSpecError
from detector.verdict import Threshold

CONFIDENCE = 0.95
MOST = 1e300
"""Size of a score up to which no difference of two overflows."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many images; a count says more than a percentage of few."""

    count: int
    of: int

    def __str__(self) -> str:
        return f"{self.count} of {self.of}"

    @property
    def rate(self) -> float:
        """The share as a fraction; nan of no images."""
        return self.count / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson's 95 % interval of the rate behind the count; (0, 1) of no images.

        It covers the rate with at least this probability if the images are independent. With x of
        n, its ends are quantiles of Beta(x, n - x + 1) and Beta(x + 1, n - x).
        Source: Clopper & Pearson, Biometrika 26:404-413 (1934).
        """
        x, n, tail = self.count, self.of, (1 - CONFIDENCE) / 2
        low = float(betaincinv(x, n - x + 1, tail)) if x else 0.0
        high = float(betaincinv(x + 1, n - x, 1 - tail)) if x < n else 1.0
        return low, high


def share_above(scores: Float[np.ndarray, " n"], value: float | Float[np.ndarray, " n"]) -> Share:
    """Return how many scores lie above a line, or each above its own."""
    return Share(int(np.sum(scores > value)), len(scores))


@dataclass(frozen=True)
class Calibration:
    """Scores of held-out normal images in order of arrival, their groups, and known anomalies.

    Attributes:
        scores: of normal images that were never fitted, (m,); none if the line is set by hand.
        groups: lot, session or camera of each, "" where unknown; () if all are unknown.
        anomalies: scores of known anomalies, (a,); often there are none.
        elsewhere: what all but the regional part adds to the score of a typical one of them.
        inputs: brightness, contrast and sharpness of each, (m, 3); None if they are not known.

    Raises:
        InvalidSpecError: if there are not as many groups or inputs as scores, or a number is not
            finite or beyond 1e300.
    """

    scores: Float[np.ndarray, " m"]
    groups: tuple[str, ...] = ()
    anomalies: Float[np.ndarray, " a"] = field(default_factory=lambda: np.zeros(0))
    elsewhere: float = 0.0
    inputs: Float[np.ndarray, "k 3"] | None = None

    def __post_init__(self) -> None:
        for name in ("scores", "anomalies"):
            held = np.array(getattr(self, name), dtype=np.float64)
            if not (np.abs(held) <= MOST).all():  # nan is not, either
                raise InvalidSpecError(f"calibration: all {name} must be numbers up to {MOST:g}")
            held.setflags(write=False)
            object.__setattr__(self, name, held)
        object.__setattr__(self, "groups", tuple(map(str, self.groups)))
        if self.groups and len(self.groups) != len(self.scores):
            raise InvalidSpecError(
                f"calibration: {len(self.scores)} scores, but {len(self.groups)} groups; give one "
                f"per score, or none"
            )
        if not np.isfinite(self.elsewhere):
            raise InvalidSpecError("calibration: elsewhere must be a finite number")
        if self.inputs is not None:
            inputs = np.array(self.inputs, dtype=np.float64)
            if inputs.shape != (len(self.scores), 3) or not np.isfinite(inputs).all():
                raise InvalidSpecError("calibration: give three finite inputs per score, or none")
            inputs.setflags(write=False)
            object.__setattr__(self, "inputs", inputs)

    def looking(self, parts: Sequence[Float[np.ndarray, "_ 3"] | None]) -> "Calibration":
        """Return it with the inputs of its images, in their order; None for a part forgets all."""
        known = [part for part in parts if part is not None]
        whole = len(known) == len(parts) and known
        return replace(self, inputs=np.concatenate(known) if whole else None)

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def ascending(self) -> Float[np.ndarray, " m"]:
        """The scores from the least to the highest."""
        return np.sort(self.scores)

    @cached_property
    def masks(self) -> dict[str, Bool[np.ndarray, " m"]]:
        """Which scores are of a group, by the names of the known groups in order."""
        labels = np.array(self.groups, dtype=object)
        return {name: labels == name for name in sorted(set(self.groups) - {""})}

    @cached_property
    def ascending_by_group(self) -> dict[str, Float[np.ndarray, " k"]]:
        """The scores of each known group from the least to the highest."""
        return {name: np.sort(self.scores[mask]) for name, mask in self.masks.items()}

    @property
    def names(self) -> tuple[str, ...]:
        """The known groups in order."""
        return tuple(self.masks)

    def of(self, group: str) -> "Calibration":
        """Return the calibration of one group alone, with the same known anomalies."""
        return Calibration(self.scores[self.masks[group]], (), self.anomalies, self.elsewhere)

    def above(self, value: float) -> Share:
        """Return how many calibration images a line would flag."""
        return share_above(self.scores, value)

    def flagged(self, threshold: Threshold) -> Share:
        """Return how many calibration images a threshold flags, each by its own group's line."""
        return share_above(self.scores, threshold.lines(self.groups or ("",) * len(self)))

    def detected(self, value: float) -> Share:
        """Return how many known anomalies a line would flag."""
        return share_above(self.anomalies, value)
