"""Every scorer on poor rows: refused when they are learnt, or scored with finite numbers."""

from collections.abc import Callable

import numpy as np
import pytest
from embedding_helpers import changed, fitted_to, synthetic
from scorer_helpers import CASES, Case, moved

from detector.errors import DegenerateDataError

IMAGES = synthetic(0, 40)
FRESH = synthetic(1, 9)
Change = Callable[[str, np.ndarray], np.ndarray]


def same(part: str, rows: np.ndarray) -> np.ndarray:
    """Return six times the first image."""
    return np.repeat(rows[:1], 6, axis=0)


def one_odd(part: str, rows: np.ndarray) -> np.ndarray:
    """Return one image many times and another once."""
    return np.concatenate([np.repeat(rows[:1], 9, axis=0), rows[1:2]])


def flat(part: str, rows: np.ndarray) -> np.ndarray:
    """Return images that have the same row in every cell."""
    return np.repeat(rows[:, -1:], rows.shape[1], axis=1) if part == "regional" else rows


def dead_channels(part: str, rows: np.ndarray) -> np.ndarray:
    """Return images of which the first channel never varies."""
    if part == "thumbnail":
        return rows
    return np.where((np.arange(rows.shape[-1]) < 1) & ~np.isnan(rows), np.float32(0.5), rows)


def one_cell(part: str, rows: np.ndarray) -> np.ndarray:
    """Return images with one cell inside the region of interest."""
    inside = np.arange(rows.shape[1]) == 15  # never outside
    return np.where(inside[:, None], rows, np.float32(np.nan)) if part == "regional" else rows


def times(factor: float, plus: float = 0.0) -> Change:
    """Return a change of unit and level of all but gates and thumbnails."""

    def change(part: str, rows: np.ndarray) -> np.ndarray:
        if part in ("gate", "thumbnail"):
            return rows
        return (rows * np.float32(factor) + np.float32(plus)).astype(np.float32)

    return change


DEGENERATE: dict[str, Change] = {
    "no image": lambda _, rows: rows[:0],
    "one image": lambda _, rows: rows[:1],
    "two images": lambda _, rows: rows[:2],
    "three images": lambda _, rows: rows[:3],
    "the same image": same,
    "duplicates and one odd": one_odd,
    "flat images": flat,
    "dead channels": dead_channels,
    "one cell": one_cell,
    "all zero": lambda part, rows: rows if part in ("gate", "thumbnail") else rows * 0,
    "tiny": times(1e-15),
    "huge": times(1e12),
    "far from zero": times(1, 1e4),
}


REFUSED = ("no image", "one image", "the same image", "all zero")


@pytest.mark.parametrize("kind", list(DEGENERATE))
@pytest.mark.parametrize("case", CASES, ids=str)
def test_poor_data_are_refused_or_give_finite_scores(case: Case, kind: str) -> None:
    """Contract: what a scorer accepts it can score: what was fitted, and everything else."""
    own = changed(case.seen(IMAGES), DEGENERATE[kind])
    try:
        detector = fitted_to(case.empty, own)
    except DegenerateDataError:
        if kind not in REFUSED:
            raise
        return
    assert kind != "no image"
    for new in (own, case.seen(FRESH), moved(case.seen(FRESH), 1e3)):
        for verdict in detector.judge(new):
            assert np.isfinite(verdict.score)
            assert np.isfinite(list(verdict.contributions.values())).all()
