"""From a scorer's numbers to verdicts: p-value, threshold, margin, word and map of every image.

Where lines are by group, so are p-values. Let n_g of the n calibration scores s_i be of group g::

    p_g(s) = (1 + #{i of group g: s_i >= s}) / (n_g + 1)
    p(s)   = (1 + #{i: s_i >= s}) / (n + 1)

An image of a group with a line of its own has p_g, which is valid within the group (Mondrian). Any
other has the highest of p and all p_g, as its line is the highest of theirs. So an image is flagged
exactly when its p-value is at most the target, if the line is conformal without delta.
Source: Vovk, "Conditional validity of inductive conformal predictors", arXiv:1209.2673.
"""

from collections.abc import Sequence
from math import isqrt
from typing import Any

import numpy as np
from jaxtyping import Float

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
    groups = groups or [""] * len(scores)
    p_values: Sequence[Any] | np.ndarray = [None] * len(scores)
    if calibration is not None and len(calibration):
        p_values = _p_values(scores, groups, calibration, threshold)
    maps = _maps(cells, len(rows), calibration)
    return [
        _verdict(
            dict(zip(scorer.parts, map(float, part), strict=True)),
            float(scores[index]),
            None if p_values[index] is None else float(p_values[index]),
            threshold,
            groups[index],
            maps[index],
        )
        for index, part in enumerate(parts)
    ]


def _p_values(
    scores: Float[np.ndarray, " n"],
    groups: Sequence[str],
    calibration: Calibration,
    threshold: Threshold | None,
) -> Float[np.ndarray, " n"]:
    pooled = conformal.p_values(scores, calibration.ascending)
    by_group = {} if threshold is None else threshold.by_group
    own = {
        name: conformal.p_values(scores, ascending)
        for name, ascending in calibration.ascending_by_group.items()
        if name in by_group
    }
    highest = np.max([pooled, *own.values()], axis=0)
    return np.array([own.get(name, highest)[place] for place, name in enumerate(groups)])


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
