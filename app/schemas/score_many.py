"""Images scored by many detectors: which, and what each of them says."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import AfterValidator, BeforeValidator, Field

from app import problems
from app.problems import Problem
from app.results import Scored
from app.schemas.base import Body, DetectorName
from app.schemas.scores import Scores
from app.scoring.many import Refused

MAX_DETECTORS = 100


def _apart(names: Any) -> Any:
    """Return the names of ``a,b`` apart, however often the parameter is given."""
    return [name for part in names for name in str(part).split(",")]


def _distinct(names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"named more than once: {', '.join(twice)}")
    return names


DetectorNames = Annotated[
    list[DetectorName],
    Field(min_length=1, max_length=MAX_DETECTORS, json_schema_extra={"uniqueItems": True}),
    BeforeValidator(_apart),
    AfterValidator(_distinct),
    Query(
        description="Names of detectors, each once: the parameter repeated, or a,b,c in one. Each "
        "scores at its version in service."
    ),
]


class DetectorRefused(Body):
    """A detector that could not score, and why; the others of the request did."""

    detector: str
    problem: Problem


class ManyScores(Body):
    """What each detector says, in the order in which they were named."""

    detectors: list[Scores | DetectorRefused]

    @classmethod
    def of(cls, answers: Sequence[Scored | Refused]) -> "ManyScores":
        """Return their form."""
        return cls(detectors=[_answer(each) for each in answers])


def _answer(each: Scored | Refused) -> Scores | DetectorRefused:
    if isinstance(each, Scored):
        return Scores.of(each)
    return DetectorRefused(detector=each.detector, problem=problems.of(each.error))
