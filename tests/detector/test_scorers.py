"""Every scorer keeps one contract; a new one is tested by being listed in SCORERS."""

import numpy as np
import pytest
from embedding_helpers import bits, changed, restarted, select, synthetic
from scorer_helpers import CASES, Case, moved

from detector.detector import Detector
from detector.embedding import Embedding

IMAGES = synthetic(0, 40)
FRESH = synthetic(1, 9)

every_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module")
def fitted() -> dict[Case, Detector]:
    """All cases, fitted once."""
    return {case: case.fitted(IMAGES) for case in CASES}


def mean_image(embedding: Embedding) -> Embedding:
    """Return the one image whose every row is the mean row."""
    return changed(
        embedding, lambda _, rows: np.nanmean(rows, axis=0, keepdims=True).astype(rows.dtype)
    )


@every_case
def test_what_is_far_scores_above_all_that_was_fitted(
    fitted: dict[Case, Detector], case: Case
) -> None:
    """Contract: higher is more anomalous; the typical own image where distances are bounded."""
    own = fitted[case].scores(case.seen(IMAGES))
    far = fitted[case].scores(moved(case.seen(FRESH), 30.0))

    bounded = case.scorer == "prototype" and case.descriptor == "gate"
    assert (np.median(own) if bounded else own.max()) < far.min()


@pytest.mark.parametrize("case", [c for c in CASES if c.variant != "l2"], ids=str)
def test_the_farther_the_higher(fitted: dict[Case, Detector], case: Case) -> None:
    """Contract: from the mean image outwards the score grows; unless rows have unit length."""
    mean = mean_image(IMAGES)

    path = [fitted[case].scores(case.seen(moved(mean, step)))[0] for step in (0, 10, 20, 40)]

    assert (np.diff(path) > 0).all()


@pytest.mark.parametrize("factor", [0.2, 5.0])
@pytest.mark.parametrize("case", [c for c in CASES if c.scorer == "kl"], ids=str)
def test_kl_sees_that_a_picture_is_flatter_or_rougher(
    fitted: dict[Case, Detector], case: Case, factor: float
) -> None:
    """Contract: the same mean, another spread over the cells."""
    fresh = case.seen(FRESH)

    def rescaled(part: str, rows: np.ndarray) -> np.ndarray:
        mean = np.nanmean(rows, axis=1, keepdims=True)
        return (mean + factor * (rows - mean)).astype(np.float32) if part == "regional" else rows

    assert (fitted[case].scores(changed(fresh, rescaled)) > fitted[case].scores(fresh)).all()


@every_case
def test_an_image_alone_is_judged_as_in_a_batch(fitted: dict[Case, Detector], case: Case) -> None:
    """Law: batch = alone, and order does not matter, to the rounding of float64."""
    new = case.seen(FRESH)
    together = fitted[case].judge(new)
    backwards = fitted[case].judge(select(new, range(len(new))[::-1]))[::-1]

    for i, expected in enumerate(together):
        for got in (fitted[case].judge(new.image(i))[0], backwards[i]):
            assert got.score == pytest.approx(expected.score, rel=1e-10)
            assert got.contributions == pytest.approx(expected.contributions, rel=1e-10, abs=1e-10)
            if expected.cells is not None:
                np.testing.assert_allclose(got.cells, expected.cells, rtol=1e-10)


@every_case
def test_the_order_of_what_is_fitted_does_not_matter(
    fitted: dict[Case, Detector], case: Case
) -> None:
    """Law: permuted = in order, to 1e-9."""
    seen = case.seen(IMAGES)
    order = np.random.default_rng(2).permutation(len(IMAGES))

    permuted = case.empty.learn(case.empty.statistics_of(select(seen, order)), extend=False)

    expected = fitted[case].scores(case.seen(FRESH))
    np.testing.assert_allclose(permuted.scores(case.seen(FRESH)), expected, rtol=1e-9)


@every_case
def test_fitted_in_parts_scores_as_at_once(fitted: dict[Case, Detector], case: Case) -> None:
    """Law: split + merge = whole, to 1e-9, a bounded memory included."""
    seen, detector = case.seen(IMAGES), case.empty
    for part in (range(3), range(3, 25), range(25, 40)):
        detector = detector.learn(detector.statistics_of(select(seen, part)), extend=True)

    expected = fitted[case].scores(case.seen(FRESH))
    np.testing.assert_allclose(detector.scores(case.seen(FRESH)), expected, rtol=1e-9)


@pytest.mark.parametrize("case", [c for c in CASES if c.variant != "memory"], ids=str)
def test_extended_then_forgotten_scores_as_never_seen(
    fitted: dict[Case, Detector], case: Case
) -> None:
    """Law: extend, then forget = never seen, to 1e-6; what was far away, too.

    Not of a memory: what others displaced does not come back.
    """
    for extra in (case.seen(synthetic(3, 7)), moved(case.seen(synthetic(3, 7)), 10.0)):
        new = fitted[case].statistics_of(extra)
        extended = fitted[case].learn(new, extend=True)
        forgotten = extended.forget(new)

        expected = fitted[case].scores(case.seen(FRESH))
        np.testing.assert_allclose(forgotten.scores(case.seen(FRESH)), expected, rtol=1e-6)
        assert (extended.scores(case.seen(FRESH)) != expected).all()
        assert (forgotten.fitted_images, forgotten.stale) == (40, False)  # nothing was calibrated


@every_case
def test_scoring_changes_nothing(fitted: dict[Case, Detector], case: Case) -> None:
    """Contract: neither the statistics nor the embedding; the second answer is the first."""
    new = case.seen(FRESH)
    before = bits(fitted[case]), bits(new)

    first = bits(fitted[case].judge(new))

    assert bits(fitted[case].judge(new)) == first
    assert (bits(fitted[case]), bits(new)) == before


@every_case
def test_written_and_read_judges_the_same(fitted: dict[Case, Detector], case: Case) -> None:
    """Law: restart = same state, of scores, parts and maps, bit by bit."""
    read = restarted(fitted[case])

    assert bits(read) == bits(fitted[case])
    assert bits(read.judge(case.seen(FRESH))) == bits(fitted[case].judge(case.seen(FRESH)))


@every_case
def test_contributions_are_named_and_sum_to_the_score(
    fitted: dict[Case, Detector], case: Case
) -> None:
    """Contract: finite; the same names for every image; the sum is the score."""
    scores = fitted[case].scores(case.seen(FRESH))
    names = set()
    for verdict, score in zip(fitted[case].judge(case.seen(FRESH)), scores, strict=True):
        assert np.isfinite(list(verdict.contributions.values())).all()
        assert verdict.score == score == pytest.approx(sum(verdict.contributions.values()))
        names.add(tuple(verdict.contributions))

    blocks = ("second",) if case.variant == "one block" else ("first", "second")
    expected = {
        "fusion": (*blocks, "regional"),
        "regional": ("regional",),
        "kl": ("mean", "scale", "correlation", "null"),
    }
    assert names == {expected.get(case.scorer, blocks)}


@every_case
def test_a_map_is_nan_exactly_outside_and_reaches_the_score(
    fitted: dict[Case, Detector], case: Case
) -> None:
    """Contract: the highest cell is no less than the regional part of the score."""
    new = case.seen(FRESH)
    outside = np.isnan(new.regional["second"][:, :, 0])
    assert outside.any() == case.region
    for i, verdict in enumerate(fitted[case].judge(new)):
        if case.scorer not in ("fusion", "regional"):
            assert verdict.cells is None
            assert verdict.region is None
            continue
        assert verdict.cells is not None
        assert verdict.region is not None
        assert verdict.cells.shape == (4, 4)
        np.testing.assert_array_equal(np.isnan(verdict.cells).ravel(), outside[i])
        regional = verdict.contributions["regional"]
        assert np.nanmax(verdict.cells) >= regional * (1 - 1e-12)
        assert verdict.region.peak == np.nanmax(verdict.cells)
