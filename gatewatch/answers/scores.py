"""Verdicts on images, and on batches as a whole."""

from dataclasses import dataclass
from typing import Any

from gatewatch.answers.learning import RejectedImage
from gatewatch.answers.problem import Problem


@dataclass(frozen=True, kw_only=True)
class TimingsMs:
    """Where one image's time went, in milliseconds; forward is that of its whole batch."""

    decode: float
    queue: float
    forward: float
    judge: float


@dataclass(frozen=True, kw_only=True)
class Region:
    """A box, as fractions of the picture's width and height, and its highest value of the map."""

    left: float
    top: float
    width: float
    height: float
    peak: float


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis of a map."""

    name: str
    unit: str
    """Empty for names."""
    values: list[float] | list[str]
    """What each index stands for: the middle of a band, a moment, a name."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Every place's share of a score; a share below 0 speaks for the sample."""

    name: str
    axes: list[Axis]
    shares: list[float]
    """Row by row: the last axis runs fastest. The shares of all maps of a sample sum to its
    score."""

    def to_numpy(self) -> Any:
        """Return the shares, float64, of as many axes. Raises ImportError without NumPy."""
        import numpy

        return numpy.array(self.shares, numpy.float64).reshape(
            [len(axis.values) for axis in self.axes]
        )


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """The verdict on one image, or the problem that kept it from having one."""

    id: str | None = None
    """Under which the image can be asked for and reviewed; None if it was not scored."""
    index: int
    """Position in the request."""
    name: str
    """File name as sent; empty for a raw body."""
    verdict: str
    score: float | None = None
    """Distance from normal; higher is more anomalous."""
    threshold: float | None = None
    margin: float | None = None
    """Score minus threshold."""
    p_value: float | None = None
    """Share of normal images that score at least as high, by the calibration images; by those of
    its group alone where that has a line of its own."""
    flagged: bool | None = None
    """Whether the score lies above the threshold."""
    discovery: bool | None = None
    """Whether it is flagged when the request's images are judged together (Benjamini-Hochberg)."""
    adjusted_p_value: float | None = None
    """False-discovery rate at which it just is."""
    contributions: dict[str, float] | None = None
    """What each part adds to the score, as a block of the backbone; they sum to it."""
    region: Region | None = None
    """Where the picture is oddest, from a scorer that has a map."""
    places: list[Places] | None = None
    """Where the score comes from, if asked for."""
    timings_ms: TimingsMs | None = None
    problem: Problem | None = None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """The results of one request, in its order."""

    detector: str
    version: int
    """Version of the detector that gave them."""
    results: list[ImageResult]

    def to_dataframe(self) -> Any:
        """Return a pandas.DataFrame, a row for each image. Raises ImportError without pandas."""
        from gatewatch.tables import to_dataframe

        return to_dataframe(self.results)


@dataclass(frozen=True, kw_only=True)
class NormalImage:
    """A fitted image that the inspected one is like."""

    distance: float
    """Root mean square difference of squeezes, in standard deviations of the fitted ones."""
    thumbnail: str
    """PNG as a data URI."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One image's verdict, where it is odd, and the fitted images it is most like."""

    detector: str
    version: int
    result: ImageResult
    map: list[list[float | None]] | None
    """Score of each cell of a grid over the picture, row by row, on the scale of score and
    threshold: what an otherwise typical picture would score if its worst places were like it
    (until the detector is calibrated, the regional part of that alone). Null outside the
    mask; null as a whole from a scorer without a map."""
    nearest: list[NormalImage]


@dataclass(frozen=True, kw_only=True)
class BlockDivergence:
    """Kullback-Leibler divergence of a batch from what was fitted, in nats; parts sum to kl."""

    rows: int
    directions: int
    """Leading principal directions compared."""
    kl: float
    null: float
    """Mean of kl when nothing has changed."""
    excess: float
    """kl - null: near 0 when nothing has changed."""
    mean: float
    scale: float
    correlation: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How far a batch as a whole is from what was fitted."""

    detector: str
    version: int
    images: int
    """Images used."""
    excess: float
    """Sum over blocks, in nats; near 0 when nothing has changed."""
    blocks: dict[str, BlockDivergence]
    rejected: list[RejectedImage]
