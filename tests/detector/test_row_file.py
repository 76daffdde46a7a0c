"""Rows as a file: what is read is what was kept, and it learns, judges and forgets as before."""

from typing import Any

import numpy as np
import pytest
from embedding_helpers import Scene, bits, fitted_to, stored, synthetic
from hypothesis import given
from hypothesis import strategies as st
from scorer_helpers import CASES, Case

from detector.detector import Detector
from detector.errors import ArtefactError
from detector.options import Options
from detector.row_file import read_rows, rows_bytes
from detector.rows import Rows
from detector.spec import Spec
from detector.tensor_file import pack, unpack

IMAGES, FRESH = synthetic(0, 40), synthetic(1, 9)
ABOUT = {"images": [{"name": "ß.png", "sha256": "0" * 64}], "failed": {}}

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def some_rows(n: int = 3, **options: Any) -> Rows:
    """Return the default detector's rows of some images."""
    return Detector(Spec("a", "b", "f", options=Options(**options))).rows(synthetic(n, n))


@given(n=st.integers(0, 5), squeeze=st.booleans(), thumbnail=st.booleans(), backwards=st.booleans())
def test_what_is_read_is_what_was_kept(
    n: int, squeeze: bool, thumbnail: bool, backwards: bool
) -> None:
    """Law: to the bit and in the blocks' order, with or without squeezes and thumbnails."""
    rows = some_rows(n)
    rows = Rows(
        dict(reversed(rows.blocks.items())) if backwards else rows.blocks,
        rows.squeeze if squeeze else None,
        rows.thumbnail if thumbnail else None,
    )

    found, about = read_rows(rows_bytes(rows, ABOUT))

    assert bits(found) == bits(rows)
    assert about == ABOUT


def test_without_rows_the_header_is_kept() -> None:
    """Contract: where no image could be read there is still something to say of them."""
    assert read_rows(rows_bytes(None, ABOUT)) == (None, ABOUT)


def test_blocks_of_any_name_are_kept_apart() -> None:
    """Contract: a block called as the other parts of the file are does not displace them."""
    rows = some_rows()
    names = ("squeeze", "thumbnail", "block/squeeze")
    odd = Rows(dict(zip(names, rows.blocks.values(), strict=True)), rows.squeeze, rows.thumbnail)

    assert bits(stored(odd)) == bits(odd)


def test_no_pixel_is_left_in_the_file_of_rows_without_pixels() -> None:
    """Contract: neither thumbnails nor squeezes, nor a trace of them in the bytes."""
    rows = some_rows()
    assert rows.thumbnail is not None
    assert rows.squeeze is not None
    traces = (rows.thumbnail.tobytes(), rows.squeeze.tobytes())

    whole, bare = (rows_bytes(each, {}) for each in (rows, rows.without_pixels()))

    assert all(trace in whole for trace in traces)
    assert not any(trace in bare for trace in traces)
    assert set(unpack("rows", 1, bare)[1]) == {"block/first", "block/second", "block/regional"}


@every_case
def test_fitting_from_kept_rows_is_fitting_from_the_embedding(case: Case) -> None:
    """Law: learnt, extended, calibrated, reduced and judged by rows that were kept: no bit less."""
    embedding, new = case.seen(IMAGES), case.seen(FRESH)
    first, more, some = (embedding.images(slice(*cut)) for cut in ((0, 30), (30, 40), (5, 12)))

    def life(kept: bool) -> list[Any]:
        def images(of: Any) -> Any:
            return stored(case.empty.rows(of)) if kept else of

        fitted = fitted_to(case.empty, images(first))
        extended = fitted.learn(fitted.statistics_of(images(more)), extend=True)
        known = extended.calibrate(extended.contributions(images(new)), 0.2)
        reduced = known.forget(known.statistics_of(images(some)))
        judged = [each.judge(images(new)) for each in (fitted, known, reduced)]
        return [bits(each) for each in (fitted, known, reduced, judged)]

    assert life(kept=True) == life(kept=False)


@every_case
def test_rows_without_pixels_give_the_same_moments_and_scores(case: Case) -> None:
    """Law: only samples are missing, so only a memory scores differently."""
    embedding, new = case.seen(IMAGES), case.seen(FRESH)
    bare = stored(case.empty.rows(embedding).without_pixels())

    whole, found = fitted_to(case.empty, embedding), fitted_to(case.empty, bare)

    kept = {name: part for name, part in whole.statistics.items() if name in found.statistics}
    assert bits(found.statistics) == bits(kept)
    assert set(whole.statistics) - set(kept) <= {"memory", "evidence"}
    judged = case.empty.rows(new).without_pixels()
    if "memory" not in whole.statistics:
        assert bits(found.judge(stored(judged))) == bits(whole.judge(new))
    assert found.nearest(judged) == whole.nearest(judged) == [[]] * len(new)


def test_real_pictures_are_judged_by_kept_rows(calibrated: Detector, scene: Scene) -> None:
    """Law: on the real backbone, verdict by verdict; neighbours and divergence, too."""
    rows = stored(calibrated.rows(scene.fresh))

    assert bits(calibrated.judge(rows)) == bits(calibrated.judge(scene.fresh))
    assert bits(calibrated.nearest(rows)) == bits(calibrated.nearest(scene.fresh))
    assert calibrated.divergence(rows) == calibrated.divergence(scene.fresh)
    assert bits(calibrated.statistics_of(rows)) == bits(calibrated.statistics_of(scene.fresh))


def test_damaged_and_foreign_files_are_refused() -> None:
    """Contract: cut at every length, flipped at every place, of another kind, or of no rows."""
    content = rows_bytes(some_rows(1), ABOUT)
    said = bits(read_rows(content))
    for length in range(len(content)):
        with pytest.raises(ArtefactError):
            read_rows(content[:length])
    for offset in range(len(content)):
        flipped = bytearray(content)
        flipped[offset] ^= 0x01
        try:
            assert bits(read_rows(bytes(flipped))) == said
        except ArtefactError:
            continue
        assert content[offset : offset + 1].isspace()
    blocks = {"block/x": np.zeros((1, 2), np.float32)}
    for header in ({}, {"about": {}}, {"about": {}, "blocks": ["y"]}, {"blocks": ["x"]}):
        with pytest.raises(ArtefactError, match="it does not describe rows"):
            read_rows(pack("rows", 1, header, blocks))
    with pytest.raises(ArtefactError, match="this is 'fit'"):
        read_rows(pack("fit", 1, {"about": {}, "blocks": ["x"]}, blocks))
