"""What a window is tested against, and the window: rows, scores and pictures of images, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from jaxtyping import Float

from detector.drift.window_space import Axes
from detector.drift.window_statistics import squared_distances
from detector.errors import DegenerateDataError, InsufficientCalibrationError, InvalidSpecError

LEAST_CALIBRATION, LEAST_WINDOW = 20, 8
"""Fewer images are refused."""

ENOUGH_CALIBRATION, ENOUGH_WINDOW = 100, 50
"""With fewer the promise holds, but only large changes are seen."""


@dataclass(frozen=True)
class WindowReference:
    """The normal state that windows are compared with.

    Attributes:
        axes: of squeezes that were fitted; none of these images is in the calibration.
        rows: squeezes of the calibration images, blocks side by side, (M, c).
        scores: theirs, (M,).
        line: above it an image is flagged.
        blocks: channels of each block, in the order of the columns.
        inputs: brightness, contrast and sharpness of each, (M, 3); None: not known.
        flagged: calibration images above the line that are left out of the rows.

    Raises:
        InsufficientCalibrationError: if there are fewer than 20 calibration images.
        InvalidSpecError: if sizes do not fit each other or a number is not finite.
    """

    axes: Axes
    rows: Float[np.ndarray, "M c"]
    scores: Float[np.ndarray, " M"]
    line: float
    blocks: Mapping[str, int]
    inputs: Float[np.ndarray, "M 3"] | None = None
    flagged: int = 0

    def __post_init__(self) -> None:
        width = len(self.axes.mean)
        _check("calibration", self.rows, self.scores, self.inputs, width)
        if sum(self.blocks.values()) != width:
            raise InvalidSpecError(
                f"blocks of {sum(self.blocks.values())} channels, but {width} were fitted"
            )
        if len(self.rows) < LEAST_CALIBRATION:
            raise InsufficientCalibrationError(
                f"{len(self.rows)} calibration images: a window test needs at least "
                f"{LEAST_CALIBRATION} that were not fitted"
            )

    def warming_up(self, images: int) -> str:
        """Return why a window of so many images would show large changes only; often empty."""
        few = []
        if len(self.rows) < ENOUGH_CALIBRATION:
            few.append(f"{len(self.rows)} calibration images of {ENOUGH_CALIBRATION}")
        if images < ENOUGH_WINDOW:
            few.append(f"{images} images in the window of {ENOUGH_WINDOW}")
        return f"warming up: {', '.join(few)}; only large changes are seen" if few else ""

    @cached_property
    def standard(self) -> Float[np.ndarray, "M c"]:
        """The rows, channels in standard deviations of what was fitted."""
        return self.axes.standardised(self.rows)

    @cached_property
    def distances(self) -> Float[np.ndarray, "M M"]:
        """Squared distances of these rows, which every window needs."""
        return squared_distances(self.standard, self.standard)

    def coordinates(self, k: int) -> Float[np.ndarray, "M d"]:
        """Return ``Axes.project`` of the rows, made once for each k."""
        if k not in self._coordinates:
            self._coordinates[k] = self.axes.coordinates(self.standard, k)
        return self._coordinates[k]

    @cached_property
    def _coordinates(self) -> dict[int, np.ndarray]:
        return {}


@dataclass(frozen=True)
class Window:
    """Images that followed each other; no image is in two windows.

    Attributes:
        rows: their squeezes, (n, c).
        scores: theirs, (n,).
        ids: names of the images.
        times: when they came, in order.
        inputs: brightness, contrast and sharpness of each, (n, 3); None: not known.
        flagged: images above the line that came among them and are left out of the rows.

    Raises:
        DegenerateDataError: if there are fewer than eight images.
        InvalidSpecError: if sizes do not fit each other or a number is not finite.
    """

    rows: Float[np.ndarray, "n c"]
    scores: Float[np.ndarray, " n"]
    ids: tuple[str, ...]
    times: tuple[datetime, ...]
    inputs: Float[np.ndarray, "n 3"] | None = None
    flagged: int = 0

    def __post_init__(self) -> None:
        _check("window", self.rows, self.scores, self.inputs, self.rows.shape[1])
        if not len(self.rows) == len(self.ids) == len(self.times):
            raise InvalidSpecError(
                f"window: {len(self.rows)} rows, {len(self.ids)} ids, {len(self.times)} times"
            )
        if len(self.rows) < LEAST_WINDOW:
            raise DegenerateDataError(
                f"a window needs at least {LEAST_WINDOW} images, got {len(self.rows)}"
            )


def _check(
    what: str, rows: np.ndarray, scores: np.ndarray, inputs: np.ndarray | None, width: int
) -> None:
    pictures = np.zeros((len(rows), 3)) if inputs is None else inputs
    if not len(rows) == len(scores) == len(pictures) or rows.shape[1] != width:
        raise InvalidSpecError(
            f"{what}: {len(rows)} rows of {rows.shape[1]} channels where {width} were fitted, "
            f"{len(scores)} scores, pictures of {len(pictures)}"
        )
    if not all(np.isfinite(each).all() for each in (rows, scores, pictures)):
        raise InvalidSpecError(f"{what}: rows, scores and pictures must be finite numbers")
