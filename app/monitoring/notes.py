"""What monitors are given and what they keep of it: images, alarms, and what these compare with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from jaxtyping import Float32

from app.scoring.judging import Seen
from app.storage.version_reader import Stored


@dataclass(frozen=True, slots=True)
class Note:
    """Images that were scored at one moment, in order: what a monitor needs of them."""

    stored: Stored
    at: datetime
    ids: Sequence[str]
    scores: Sequence[float]
    inputs: Sequence[Sequence[float]] | None
    squeeze: Float32[np.ndarray, "n c"] | None = None
    """For windows; None if these do without."""

    @classmethod
    def of(cls, seen: Seen, *, squeezed: bool = False) -> "Note":
        """Return the note of what was judged, without its rows, but with squeezes if told."""
        looks = seen.rows.inputs
        return cls(
            seen.stored,
            seen.at,
            [image.id for image in seen.images],
            [image.verdict.score for image in seen.images],
            None if looks is None else looks.tolist(),
            seen.squeeze if squeezed else None,
        )


@dataclass(frozen=True, slots=True)
class Image:
    """One image as a monitor sees it; the look is None, or of NaN, if that is not known."""

    id: str
    at: datetime
    score: float
    look: Sequence[float] | None
    squeezed: bool = False
    """Whether its squeeze is known."""


@dataclass(frozen=True, slots=True)
class Monitored:
    """One of the images that a thinning leaves, by its number since the detector is watched."""

    number: int
    id: str
    at: datetime
    score: float
    look: tuple[float, ...]
    squeeze: Float32[np.ndarray, " c"]


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm: of which stream, and by which image, counted from 0, under which id, when.

    That of a window is its last image.
    """

    stream: str
    image: int
    id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Reference:
    """What the traffic is compared with: images of the calibration, or of the traffic, since when.

    ``version`` was in service then, ``key`` tells its calibration from others, and ``medians`` are
    those of the images' inputs, none if these are not known. ``no_windows`` says why windows are
    not tested against it, ``blob`` where its squeezes are if it is traffic.
    """

    of: Literal["calibration", "traffic"]
    version: int
    images: int
    at: datetime
    key: str
    medians: tuple[float, ...]
    no_windows: str = ""
    blob: str = ""

    @property
    def epoch(self) -> str:
        """What tells it from any other of the detector."""
        return f"{self.key}@{self.at.isoformat()}"
