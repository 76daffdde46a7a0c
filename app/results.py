"""What the use cases return: plain values, before HTTP or a terminal gives them a form."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.storage import Stored
from detector.divergence import Divergence
from detector.errors import DetectorError
from detector.evidence import Neighbour
from detector.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Rejected:
    """An image that could not be used, and why."""

    name: str
    error: DetectorError


@dataclass(frozen=True, slots=True)
class Learned:
    """What a fit or a calibration did."""

    stored: Stored
    used: int
    rejected: list[Rejected]


@dataclass(frozen=True, slots=True)
class Timings:
    """Where one image's time went, in seconds; forward is that of its whole batch."""

    decode_s: float
    queue_s: float
    forward_s: float
    judge_s: float


@dataclass(frozen=True, slots=True)
class Judged:
    """One image's verdict and timings, or the error that kept it from having them."""

    name: str
    verdict: Verdict | None = None
    timings: Timings | None = None
    error: DetectorError | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """The results of one request, in its order, and which version gave them."""

    detector: str
    version: int
    results: list[Judged]


@dataclass(frozen=True, slots=True)
class Inspected:
    """One image's verdict in full: its pixels, and the fitted images it is most like."""

    detector: str
    version: int
    judged: Judged
    verdict: Verdict
    pixels: NDArray[np.uint8]
    nearest: list[Neighbour]


@dataclass(frozen=True, slots=True)
class Compared:
    """How far a batch as a whole is from what was fitted, by block."""

    detector: str
    version: int
    images: int
    rejected: list[Rejected]
    divergences: dict[str, Divergence]
