"""What the use cases return: plain values, before HTTP or a terminal gives them a form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.storage.version_reader import Stored
from detector.detector import Detector
from detector.divergence import Divergence
from detector.errors import DetectorError
from detector.evidence import Neighbour
from detector.groups import GroupReport
from detector.histogram import Histogram
from detector.kinds.kind import Located
from detector.operating_points import OperatingPoint
from detector.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Rejected:
    """An image that could not be used, and the problem it had, as HTTP tells it."""

    name: str
    problem: Mapping[str, Any]

    @property
    def detail(self) -> str:
        """The problem in words."""
        return str(self.problem["detail"])


@dataclass(frozen=True, slots=True)
class Groups:
    """False alarms of groups that were left out; the report is missing where it cannot be made.

    ``refitted`` says whether each group was left out of the fit too, not of the line alone.
    """

    report: GroupReport | None
    refitted: bool
    warning: str | None


@dataclass(frozen=True, slots=True)
class Learned:
    """What a fit, a forgetting or a calibration did, and the version it made."""

    stored: Stored
    used: int
    rejected: list[Rejected]
    groups: Groups | None = None
    warnings: Sequence[str] = ()
    """What else to know before trusting the threshold."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """What thresholds would do; ``proposed`` is the detector with the one that was tried."""

    stored: Stored
    points: list[OperatingPoint]
    proposed: Detector | None


@dataclass(frozen=True, slots=True)
class CalibrationHistogram:
    """How the calibration of a version has scored."""

    stored: Stored
    histogram: Histogram


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
    id: str = ""
    """Under which the image can be asked for and reviewed; empty if it was not scored."""
    discovery: bool | None = None
    """Whether it is flagged when all images of the request are judged together."""
    adjusted_p_value: float | None = None
    places: Sequence[Located] | None = None
    """Where the score comes from, if that was asked for and can be told."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The results of one request, in its order, and which version gave them."""

    detector: str
    version: int
    results: list[Judged]


@dataclass(frozen=True, slots=True)
class Duel:
    """Two versions on the same images, in the order of the request."""

    detector: str
    first: int
    second: int
    pairs: list[tuple[Judged, Judged]]


@dataclass(frozen=True, slots=True)
class Inspected:
    """One image's verdict in full: its pixels, and the fitted images it is most like.

    Of another kind of sample the pixels are a picture of it, painted where its score comes from.
    """

    detector: str
    version: int
    judged: Judged
    verdict: Verdict
    pixels: NDArray[np.uint8]
    nearest: list[Neighbour]
    places: Sequence[Located] | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """How far a batch as a whole is from what was fitted, by block."""

    detector: str
    version: int
    images: int
    rejected: list[Rejected]
    divergences: dict[str, Divergence]
