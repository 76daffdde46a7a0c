"""Judge images that were embedded: by the version asked for, its shadow alongside, and together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from app.clock import now
from app.ids import new_id
from app.results import Judged
from app.scoring.arriving import Arrived
from app.storage.version_reader import Stored
from detector.detector import Detector
from detector.embedding import Embedding
from detector.errors import DetectorError
from detector.multiple_testing import benjamini_hochberg
from detector.recipe import Recipe
from detector.rows import Rows
from detector.verdict import Verdict


@dataclass(frozen=True, slots=True)
class SeenImage:
    """One image that was scored: what it is known by, and what was said of it."""

    id: str
    name: str
    sha256: str
    verdict: Verdict
    shadow: Verdict | None


@dataclass(frozen=True, slots=True)
class Seen:
    """Images that were scored at one moment, and their rows, without pixels, in order."""

    stored: Stored
    shadow: int | None
    """The version that scored alongside, if one did."""
    group: str
    at: datetime
    images: Sequence[SeenImage]
    rows: Rows
    squeeze: Float32[np.ndarray, "n c"] | None = None
    """Of all blocks side by side, for drift; it is not kept with the rows."""


@dataclass(frozen=True, slots=True)
class Judge:
    """A version that scores, and the detector that scores alongside, if one does."""

    stored: Stored
    shadow: Detector | None = None


class Shown:
    """Images that some detectors judge, of one embedding, and the rows these look at.

    Rows are made when they are asked for, once for all detectors of one recipe.
    """

    def __init__(self, names: Sequence[str], arrived: Sequence[Arrived], group: str) -> None:
        self.names = names
        self.digests = [item.sha256 for item in arrived]
        self.group = group
        self._embeddings = [item.embedding for item in arrived]
        self._rows: dict[Recipe, Rows] = {}

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _embedding(self) -> Embedding:
        return Embedding.concatenate(self._embeddings)

    def rows(self, detector: Detector) -> Rows:
        """Return what a detector looks at."""
        recipe = detector.recipe
        if recipe not in self._rows:
            self._rows[recipe] = recipe.rows(self._embedding)
        return self._rows[recipe]


def judge(
    stored: Stored,
    shadow: Detector | None,
    names: Sequence[str],
    arrived: Sequence[Arrived],
    group: str,
) -> Seen:
    """Return the verdicts on some images, and their shadow's."""
    return _seen(Judge(stored, shadow), Shown(names, arrived, group))


def judge_by_each(judges: Sequence[Judge], shown: Shown) -> list[Seen | DetectorError]:
    """Return the verdicts of each of some detectors on the same images, or why it has none."""
    found: list[Seen | DetectorError] = []
    for each in judges:
        try:
            found.append(_seen(each, shown))
        except DetectorError as error:
            found.append(error)
    return found


def _seen(judge: Judge, shown: Shown) -> Seen:
    stored, shadow = judge.stored, judge.shadow
    rows = shown.rows(stored.detector)
    groups = [shown.group] * len(shown)
    others: Sequence[Verdict | None] = [None] * len(shown)
    if shadow is not None:
        others = shadow.judge(shown.rows(shadow), groups)
    verdicts = stored.detector.judge(rows, groups)
    images = [
        SeenImage(new_id(), *each)
        for each in zip(shown.names, shown.digests, verdicts, others, strict=True)
    ]
    version = None if shadow is None else shadow.version
    kept = rows.without_pixels()
    return Seen(stored, version, shown.group, now(), images, kept, rows.squeeze)


def together(results: Sequence[Judged], rate: float) -> list[Judged]:
    """Return the results with what holds for them as one batch (Benjamini-Hochberg).

    Raises:
        InvalidSpecError: if the rate is not in (0, 1).
    """
    known = [
        place
        for place, result in enumerate(results)
        if result.verdict and result.verdict.p_value is not None
    ]
    p_values = [results[place].verdict.p_value for place in known]  # type: ignore[union-attr]
    decided = benjamini_hochberg(np.array(p_values, dtype=np.float64), rate)
    found = list(results)
    for place, flagged, adjusted in zip(known, decided.flagged, decided.adjusted, strict=True):
        found[place] = replace(
            found[place], discovery=bool(flagged), adjusted_p_value=float(adjusted)
        )
    return found
