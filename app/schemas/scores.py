"""Verdicts on images, and on batches as a whole."""

import base64
import io
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import numpy as np
from fastapi import Query
from PIL import Image

import detector.verdict
from app import problems
from app.problems import Problem
from app.results import Compared, Inspected, Judged, Scored, Timings
from app.schemas.base import Body, GroupName, Rate
from app.schemas.learning import RejectedImage
from detector.divergence import Divergence
from detector.evidence import Neighbour
from detector.kinds.kind import Located


class TimingsMs(Body):
    """Where one image's time went, in milliseconds; forward is that of its whole batch."""

    decode: float
    queue: float
    forward: float
    judge: float

    @classmethod
    def of(cls, timings: Timings) -> "TimingsMs":
        """Return their form."""
        return cls(
            decode=1e3 * timings.decode_s,
            queue=1e3 * timings.queue_s,
            forward=1e3 * timings.forward_s,
            judge=1e3 * timings.judge_s,
        )


class Region(Body):
    """A box, as fractions of the picture's width and height, and its highest value of the map."""

    left: float
    top: float
    width: float
    height: float
    peak: float

    @classmethod
    def of(cls, found: detector.verdict.Region) -> "Region":
        """Return its form."""
        return cls.model_validate(found, from_attributes=True)


GroupQuery = Annotated[
    GroupName, Query(description="Lot, session or camera; judged by its own line if it has one.")
]


@dataclass
class ScoreQuery:
    """How images are judged beyond the detector's own line."""

    group: GroupQuery = ""
    false_discovery_rate: Annotated[
        Rate | None,
        Query(description="Judge the images together: share of flags that may be false."),
    ] = None
    places: Annotated[
        bool | None,
        Query(
            description="Whether every place's share of the score is told, of other kinds than "
            "images; unset: of videos, whose frames are scored with them."
        ),
    ] = None


class Axis(Body):
    """An axis of a map."""

    name: str
    unit: str
    """Empty for names."""
    values: list[float] | list[str]
    """What each index stands for: the middle of a band, a moment, a name."""


class Places(Body):
    """Every place's share of a score; a share below 0 speaks for the sample."""

    name: str
    axes: list[Axis]
    shares: list[float]
    """Row by row: the last axis runs fastest. The shares of all maps of a sample sum to its
    score."""

    @classmethod
    def of(cls, located: Located) -> "Places":
        """Return its form."""
        return cls(
            name=located.name,
            axes=[Axis(name=a.name, unit=a.unit, values=list(a.values)) for a in located.axes],
            shares=[float(share) for share in located.values.ravel()],
        )


class ImageResult(Body):
    """The verdict on one image, or the problem that kept it from having one."""

    id: str | None = None
    """Under which the image can be asked for and reviewed; None if it was not scored."""
    index: int
    """Position in the request."""
    name: str
    """File name as sent; empty for a raw body."""
    verdict: Literal["normal", "uncertain", "anomalous", "uncalibrated", "invalid"]
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

    @classmethod
    def of(cls, index: int, judged: Judged) -> "ImageResult":
        """Return its form."""
        if judged.error is not None:
            problem = problems.of(judged.error)
            return cls(index=index, name=judged.name, verdict="invalid", problem=problem)
        verdict, timings = judged.verdict, judged.timings
        assert verdict is not None
        return cls(
            id=judged.id or None,
            index=index,
            name=judged.name,
            discovery=judged.discovery,
            adjusted_p_value=judged.adjusted_p_value,
            verdict=verdict.word,
            score=verdict.score,
            threshold=verdict.threshold,
            margin=verdict.margin,
            p_value=verdict.p_value,
            flagged=verdict.flagged,
            contributions=verdict.contributions,
            region=Region.of(verdict.region) if verdict.region else None,
            places=None if judged.places is None else [*map(Places.of, judged.places)],
            timings_ms=TimingsMs.of(timings) if timings else None,
        )


class Scores(Body):
    """The results of one request, in its order."""

    detector: str
    version: int
    """Version of the detector that gave them."""
    results: list[ImageResult]

    @classmethod
    def of(cls, scored: Scored) -> "Scores":
        """Return its form."""
        return cls(
            detector=scored.detector,
            version=scored.version,
            results=[ImageResult.of(i, judged) for i, judged in enumerate(scored.results)],
        )


class NormalImage(Body):
    """A fitted image that the inspected one is like."""

    distance: float
    """Root mean square difference of squeezes, in standard deviations of the fitted ones."""
    thumbnail: str
    """PNG as a data URI."""

    @classmethod
    def of(cls, neighbour: Neighbour) -> "NormalImage":
        """Return its form."""
        buffer = io.BytesIO()
        Image.fromarray(neighbour.thumbnail.transpose(1, 2, 0)).save(buffer, "PNG")
        encoded = base64.b64encode(buffer.getvalue()).decode()
        return cls(distance=neighbour.distance, thumbnail=f"data:image/png;base64,{encoded}")


class Explanation(Body):
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

    @classmethod
    def of(cls, inspected: Inspected) -> "Explanation":
        """Return its form."""
        cells = inspected.verdict.cells
        return cls(
            detector=inspected.detector,
            version=inspected.version,
            result=ImageResult.of(0, inspected.judged),
            map=None
            if cells is None
            else [[None if np.isnan(v) else float(v) for v in row] for row in cells],
            nearest=[NormalImage.of(neighbour) for neighbour in inspected.nearest],
        )


class BlockDivergence(Body):
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

    @classmethod
    def of(cls, divergence: Divergence) -> "BlockDivergence":
        """Return its form."""
        return cls(**asdict(divergence), kl=divergence.kl, excess=divergence.excess)


class Comparison(Body):
    """How far a batch as a whole is from what was fitted."""

    detector: str
    version: int
    images: int
    """Images used."""
    excess: float
    """Sum over blocks, in nats; near 0 when nothing has changed."""
    blocks: dict[str, BlockDivergence]
    rejected: list[RejectedImage]

    @classmethod
    def of(cls, compared: Compared) -> "Comparison":
        """Return its form."""
        return cls(
            detector=compared.detector,
            version=compared.version,
            images=compared.images,
            excess=sum(each.excess for each in compared.divergences.values()),
            blocks={name: BlockDivergence.of(d) for name, d in compared.divergences.items()},
            rejected=[RejectedImage.of(item) for item in compared.rejected],
        )
