"""What a detector says: where the line is drawn, and the verdict on one image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal

import numpy as np
from jaxtyping import Float

from detector.errors import InvalidSpecError


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where the line is drawn and why; an image is anomalous when its score lies above it.

    Attributes:
        value: the line, for every image whose group has none of its own.
        method: a name in ``detector.thresholds.THRESHOLDS``.
        target: the false-alarm rate promised or aimed at, where there is one.
        statement: what it promises, in words a person can check.
        parameters: as asked.
        by_group: a group's own line; empty if all are judged alike.
        review: where the uncertain band begins: review < score <= value; None if there is none.
        review_target: the rate whose conformal line review was; None if there is none, or it is
            not known.

    Raises:
        InvalidSpecError: if a line is not finite, or the uncertain band is empty.
    """

    value: float
    method: str
    target: float | None
    statement: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    by_group: Mapping[str, float] = field(default_factory=dict)
    review: float | None = None
    review_target: float | None = None

    def __post_init__(self) -> None:
        for value in (self.value, *self.by_group.values()):
            if not isfinite(value):
                raise InvalidSpecError(f"a threshold must be finite, got {value}")
        if self.review is not None and not -np.inf < self.review < self.value:
            raise InvalidSpecError(
                f"nothing lies between where review begins, {self.review:g}, and the threshold, "
                f"{self.value:g}: ask for a higher review rate, or for no review"
            )

    def line(self, group: str = "") -> float:
        """Return the line for images of a group, "" if it is unknown."""
        return self.by_group.get(group, self.value)

    def lines(self, groups: Sequence[str]) -> Float[np.ndarray, " n"]:
        """Return the line for each of some images, by their groups."""
        return np.array([self.line(group) for group in groups], dtype=np.float64)


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

    The contributions sum to the score. ``margin`` is score - threshold. An ``uncertain`` image lies
    below the threshold, but in the band that a person should look at. ``p_value`` is of the image's
    group where that has a line of its own (``detector.judging``). ``cells`` is the map: for every
    cell of the grid, (side, side), the score of an otherwise typical image whose worst cells are
    like it, NaN outside the region of interest; None from a scorer without one, as is ``region``.
    """

    score: float
    contributions: dict[str, float]
    threshold: float | None
    margin: float | None
    p_value: float | None
    flagged: bool | None
    uncertain: bool = False
    cells: Float[np.ndarray, "g g"] | None = None
    region: Region | None = None

    @property
    def word(self) -> Literal["normal", "uncertain", "anomalous", "uncalibrated"]:
        """The verdict in one word."""
        if self.flagged is None:
            return "uncalibrated"
        if self.uncertain:
            return "uncertain"
        return "anomalous" if self.flagged else "normal"
