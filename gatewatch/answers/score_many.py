"""What many detectors say of the same images."""

from dataclasses import dataclass

from gatewatch.answers.problem import Problem
from gatewatch.answers.scores import Scores


@dataclass(frozen=True, kw_only=True)
class DetectorRefused:
    """A detector that could not score, and why; the others of the request did."""

    detector: str
    problem: Problem


@dataclass(frozen=True, kw_only=True)
class ManyScores:
    """What each detector says, in the order in which they were named."""

    detectors: list[Scores | DetectorRefused]
