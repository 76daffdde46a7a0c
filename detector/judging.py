"""From a scorer's numbers to verdicts: p-value, threshold, margin, word and map of every image."""

from collections.abc import Sequence
from math import isqrt
from typing import Any

import numpy as np

from detector import conformal, heatmap
from detector.calibration import Calibration
from detector.rows import Rows
from detector.scorers import Distances, Scorer
from detector.verdict import Threshold, Verdict


def verdicts(
    scorer: Scorer,
    rows: Rows,
    calibration: Calibration | None,
    threshold: Threshold | None,
    groups: Sequence[str] = (),
) -> list[Verdict]:
    """Return the verdict on every image; ``groups`` has one for each, or is empty."""
    parts, cells = scorer.assess(rows.blocks)
    scores = parts.sum(axis=1)
    p_values: Sequence[Any] | np.ndarray = [None] * len(scores)
    if calibration is not None and len(calibration):
        p_values = conformal.p_values(scores, calibration.ascending)
    maps = _maps(cells, len(rows), calibration)
    return [
        _verdict(
            dict(zip(scorer.parts, map(float, part), strict=True)),
            float(scores[index]),
            None if p_values[index] is None else float(p_values[index]),
            threshold,
            groups[index] if groups else "",
            maps[index],
        )
        for index, part in enumerate(parts)
    ]


def _verdict(
    contributions: dict[str, float],
    score: float,
    p_value: float | None,
    threshold: Threshold | None,
    group: str,
    cells: np.ndarray | None,
) -> Verdict:
    line = None if threshold is None else threshold.line(group)
    review = None if threshold is None else threshold.review
    return Verdict(
        score=score,
        contributions=contributions,
        threshold=line,
        margin=None if line is None else score - line,
        p_value=p_value,
        flagged=None if line is None else score > line,
        uncertain=line is not None and review is not None and review < score <= line,
        cells=cells,
        region=None if cells is None else heatmap.worst_region(cells, line),
    )


def _maps(
    cells: Distances | None, images: int, calibration: Calibration | None
) -> Sequence[Any] | np.ndarray:
    """Return every image's cells as a square, or None for each if the scorer has no map."""
    if cells is None:
        return [None] * images
    side = isqrt(cells.shape[1])
    elsewhere = calibration.elsewhere if calibration else 0.0
    return (elsewhere + cells).reshape(images, side, side)
