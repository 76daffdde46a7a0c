"""Rows: cut and joined like embeddings, and enough to extend a detector and to forget again."""

import numpy as np
import pytest
from embedding_helpers import Scene, bits, fitted_to, select, stored, synthetic
from hypothesis import given
from hypothesis import strategies as st

from detector.detector import Detector
from detector.errors import InvalidSpecError
from detector.options import Options
from detector.rows import Rows
from detector.scorers import SCORERS
from detector.spec import Spec

CREATED = Detector(Spec("bolts", "b", "f"))
SIZES = st.integers(1, 9)


@given(n=SIZES, cut=SIZES, bare=st.booleans())
def test_cut_and_concatenated_is_the_whole(n: int, cut: int, bare: bool) -> None:
    """Law: concatenate undoes every cut, bit by bit, with and without pixels."""
    whole = CREATED.rows(synthetic(0, n))
    whole = whole.without_pixels() if bare else whole
    cut = min(cut, n)

    halves = [whole.take(slice(0, cut)), whole.take(slice(cut, n))]
    singles = [whole.take([i]) for i in range(n)]

    assert [len(part) for part in halves] == [cut, n - cut]
    assert bits(Rows.concatenate(halves)) == bits(whole)
    assert bits(Rows.concatenate(singles)) == bits(whole)


@given(n=SIZES, data=st.data())
def test_taken_rows_are_those_of_the_taken_images(n: int, data: st.DataObject) -> None:
    """Law: rows of some images = some of the rows, in any order, with repeats, and none at all."""
    images = synthetic(0, n)
    chosen = data.draw(st.lists(st.integers(0, n - 1), max_size=12))

    taken = CREATED.rows(images).take(chosen)

    assert len(taken) == len(chosen)
    assert bits(taken) == bits(CREATED.rows(select(images, chosen)))


@pytest.mark.parametrize("scorer", list(SCORERS))
def test_rows_of_parts_are_parts_of_the_rows(scorer: str) -> None:
    """Law: whatever a scorer looks at, images may come in batches; rows are their own rows."""
    created = Detector(Spec("bolts", "b", "f", scorer))
    images = synthetic(0, 7)

    parts = [created.rows(images.images(slice(*cut))) for cut in ((0, 3), (3, 7))]

    assert bits(Rows.concatenate(parts)) == bits(created.rows(images))
    assert created.rows(parts[0]) is parts[0]


def test_pixels_that_some_parts_lack_are_left_out_of_the_whole() -> None:
    """Contract: never a thumbnail beside another image's row."""
    rows = CREATED.rows(synthetic(0, 4))
    without_thumbnails = Rows(rows.blocks, rows.squeeze)

    mixed = Rows.concatenate([rows, without_thumbnails])
    bare = Rows.concatenate([rows.without_pixels(), rows])

    assert mixed.thumbnail is None
    assert mixed.squeeze is not None
    assert len(mixed.squeeze) == len(mixed) == len(bare) == 8
    assert (bare.squeeze, bare.thumbnail) == (None, None)


def test_a_block_that_does_not_exist_is_refused_where_rows_are_made() -> None:
    """Contract: by its name, before anything is learnt."""
    missing = Detector(Spec("bolts", "b", "f", options=Options(blocks=("third",))))
    with pytest.raises(InvalidSpecError, match="third"):
        missing.rows(synthetic(0, 3))


@pytest.mark.parametrize("far", [0.0, 25.0])
@pytest.mark.parametrize("pixels", [True, False])
def test_extended_by_fifty_then_forgotten_by_their_kept_rows(pixels: bool, far: float) -> None:
    """Law: the default detector gives the first scores back to 1e-6, even of a lot far away."""
    wide = {"first": 24, "second": 40}
    first, more, fresh = (synthetic(seed, n, wide) for seed, n in ((0, 120), (1, 50), (2, 30)))
    rows = CREATED.rows(more)
    moved = {name: (each + np.float32(far)) for name, each in rows.blocks.items()}
    rows = Rows(moved, rows.squeeze, rows.thumbnail)
    rows = rows if pixels else rows.without_pixels()
    fitted = fitted_to(CREATED, first)
    before = fitted.scores(fresh)

    extended = fitted.learn(fitted.statistics_of(rows), extend=True)
    forgotten = extended.forget(fitted.statistics_of(stored(rows)))
    one_by_one = extended
    for i in range(50):
        one_by_one = one_by_one.forget(fitted.statistics_of(stored(rows.take([i]))))

    assert (extended.fitted_images, forgotten.fitted_images) == (170, 120)
    assert np.min(np.abs(extended.scores(fresh) / before - 1)) > 1e-4
    np.testing.assert_allclose(forgotten.scores(fresh), before, rtol=1e-6)
    np.testing.assert_allclose(one_by_one.scores(fresh), before, rtol=1e-6)


def test_real_pictures_are_forgotten_by_their_kept_rows(fitted: Detector, scene: Scene) -> None:
    """Law: on the real backbone, every scorer: never seen = extended and forgotten, to 1e-6."""
    rows = fitted.rows(scene.more)

    extended = fitted.learn(fitted.statistics_of(rows), extend=True)
    forgotten = extended.forget(fitted.statistics_of(stored(rows)))

    expected = fitted.scores(scene.fresh)
    assert (extended.scores(scene.fresh) != expected).all()
    np.testing.assert_allclose(forgotten.scores(scene.fresh), expected, rtol=1e-6)
