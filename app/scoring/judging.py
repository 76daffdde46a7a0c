"""Judge images that were embedded: by the version asked for, its shadow alongside, and together."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from jaxtyping import Float32

from app.results import Judged
from app.scoring.ingest import Arrived
from app.storage.tables import now
from app.storage.version_reader import Stored
from detector.detector import Detector
from detector.embedding import Embedding
from detector.multiple_testing import benjamini_hochberg
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


def judge(
    stored: Stored,
    shadow: Detector | None,
    names: Sequence[str],
    arrived: Sequence[Arrived],
    group: str,
) -> Seen:
    """Return the verdicts on some images, and their shadow's."""
    embedding = Embedding.concatenate([item.embedding for item in arrived])
    rows = stored.detector.rows(embedding)
    groups = [group] * len(arrived)
    others: Sequence[Verdict | None] = [None] * len(arrived)
    if shadow is not None:
        others = shadow.judge(embedding, groups)
    images = [
        SeenImage(uuid.uuid4().hex, name, item.sha256, verdict, other)
        for name, item, verdict, other in zip(
            names, arrived, stored.detector.judge(rows, groups), others, strict=True
        )
    ]
    version = None if shadow is None else shadow.version
    kept = rows.without_pixels()
    return Seen(stored, version, group, now(), images, kept, rows.squeeze)


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
