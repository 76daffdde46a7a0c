"""How many images were scored of each detector in some time, by equal parts of it.

Each number is the length of a range in an index, all in one statement: no image's row is read, and
the numbers agree with each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, ScalarSelect, and_, func, select

from app.storage.history import Word
from app.storage.tables import DETECTORS, SCORED, TO_REVIEW

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Part:
    """Images of a part of the time, and how many of them were flagged."""

    images: int
    flagged: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of one detector: its parts, oldest first, what was uncertain, and when the last image was.

    The last image may be older than the time that is asked for.
    """

    parts: Sequence[Part]
    uncertain: int
    last_at: datetime | None

    @property
    def images(self) -> int:
        """Images that were scored."""
        return sum(part.images for part in self.parts)

    @property
    def flagged(self) -> int:
        """Images that were flagged."""
        return sum(part.flagged for part in self.parts)


def traffic(connection: Connection, edges: Sequence[datetime]) -> dict[str, Traffic]:
    """Count what was scored from each moment to before the next; by the id of the detector."""
    parts = list(pairwise(edges))
    counted = select(
        DETECTORS.c.id,
        _of_each(func.max(SCORED.c.at)),
        _count(edges[0], edges[-1], _said("uncertain")),
        *(_count(*part) for part in parts),
        *(_count(*part, _said("anomalous")) for part in parts),
    )
    found = {}
    for identity, last_at, uncertain, *counts in connection.execute(counted):
        images, flagged = counts[: len(parts)], counts[len(parts) :]
        both = zip(images, flagged, strict=True)
        found[identity] = Traffic([Part(*pair) for pair in both], uncertain, last_at)
    return found


def _said(verdict: Word) -> ColumnElement[bool]:
    return and_(TO_REVIEW, SCORED.c.verdict == verdict)  # in these words the index is found


def _count(since: datetime, until: datetime, *which: ColumnElement[bool]) -> ScalarSelect[int]:
    return _of_each(func.count(), SCORED.c.at >= since, SCORED.c.at < until, *which)


def _of_each(what: ColumnElement[T], *which: ColumnElement[bool]) -> ScalarSelect[T]:
    ours = SCORED.c.detector_id == DETECTORS.c.id
    return select(what).where(ours, *which).scalar_subquery()
