"""The demonstration's pictures and its report, without the service."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo import report, scenes

SEEDS = (3, 30_001)
GOOD = report.GOOD
SIDE = scenes.SIDE_PX


@pytest.mark.parametrize("kind", [GOOD, *scenes.KINDS])
def test_scene_is_a_function_of_kind_and_seed(kind: str) -> None:
    """The same seed gives the same picture, another seed another, in a fixed format."""
    first, again, other = (scenes.scene(kind, seed) for seed in (7, 7, 8))
    assert first.picture.shape == (SIDE, SIDE, 3)
    assert first.picture.dtype == np.uint8
    assert first.kind == kind
    np.testing.assert_array_equal(first.picture, again.picture)
    assert not np.array_equal(first.picture, other.picture)


@pytest.mark.parametrize(("kind", "seed"), list(product(scenes.LOCAL, SEEDS)))
def test_local_defect_changes_only_what_its_mask_covers(kind: str, seed: int) -> None:
    """Outside the mask lies the sound picture; inside, nearly every pixel has changed."""
    sound, defective = scenes.scene(GOOD, seed).picture, scenes.scene(kind, seed)
    mask = defective.mask
    assert mask is not None
    assert mask.dtype == np.bool_
    assert 0.001 < mask.mean() < 0.25
    changed = (defective.picture != sound).any(axis=2)
    assert not changed[~mask].any()
    assert changed[mask].mean() > 0.8


@pytest.mark.parametrize("kind", [GOOD, "blur", "wrong material"])
def test_only_local_defects_have_a_mask(kind: str) -> None:
    """A picture that is sound, or wrong all over, has no place to point at."""
    assert scenes.scene(kind, 7).mask is None


def _scored(kind: str, score: float) -> report.Scored:
    verdict = "anomalous" if score > 2 else "normal"
    picture = np.full((64, 80, 3), 90, dtype=np.uint8)
    return report.Scored(f"{kind}.png", kind, picture, score, 2.0, 0.5, verdict, 12.0)


def test_ranking_and_auroc_of_known_scores() -> None:
    """Three of four pairs are in order, and one kind of two lies above every good picture."""
    results = [_scored(GOOD, 1), _scored(GOOD, 3), _scored("hole", 4), _scored("blur", 2)]
    assert report.ranked_above(results, "hole")
    assert not report.ranked_above(results, "blur")
    assert report.auroc(results) == pytest.approx(0.75)
    assert report.table(results).row_count == len(results)
    assert report.summary(results).row_count == 3


def test_poster_shows_every_picture_in_its_frame(tmp_path: Path) -> None:
    """Eight pictures take two rows; the frame has the verdict's colour."""
    results = [_scored(GOOD, 1), *(_scored("stain", 5) for _ in range(7))]
    report.poster(results, "a heading").save(tmp_path / "demo.png")
    with Image.open(tmp_path / "demo.png") as opened:
        across = 80 + 2 * report.FRAME_PX + report.GAP_PX
        down = 64 + 2 * report.FRAME_PX + report.CAPTION_PX + report.GAP_PX
        margin = report.GAP_PX + report.HEADING_PX
        assert opened.size == (6 * across + report.GAP_PX, 2 * down + margin)
        first, second = ((report.GAP_PX + column * across, margin) for column in range(2))
        assert opened.getpixel(first) == report.COLOURS["normal"]
        assert opened.getpixel(second) == report.COLOURS["anomalous"]
