"""Verdicts on images."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query

import detector.verdict
from app import problems
from app.problems import Problem
from app.results import Judged, Scored, Timings
from app.schemas.base import Body, GroupName, Rate
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
