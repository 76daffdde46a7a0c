"""From scores to words: the uncertain band, lines by group, p-values with and without a line."""

import math

import numpy as np
import pytest
from embedding_helpers import bits, fitted_to, synthetic

from detector import heatmap
from detector.detector import Detector
from detector.errors import InvalidSpecError
from detector.scorers import SCORERS
from detector.spec import Spec
from detector.verdict import Threshold, Verdict

HELD_OUT, FRESH = synthetic(2, 60), synthetic(3, 30)
GROUPS = ["day"] * 20 + ["night"] * 20 + [""] * 20
BY_SCORER = {
    scorer: fitted_to(Detector(Spec("bolts", "b", "f", scorer)), synthetic(1, 40))
    for scorer in SCORERS
}
FITTED = BY_SCORER["fusion"]
PARTS = FITTED.contributions(HELD_OUT)
# Lots differ, so that their lines do: at night every score is a half higher.
KNOWN = FITTED.calibrate(PARTS * np.repeat([1.0, 1.5, 1.0], 20)[:, None], groups=GROUPS)
SCORES: list[float] = np.sort(FITTED.scores(FRESH)).tolist()


def drawn(value: float, review: float | None = None, **by_group: float) -> Detector:
    """Return the calibrated detector with this threshold."""
    line = Threshold(value, "conformal", 0.1, "", by_group=by_group, review=review)
    return KNOWN.having(threshold=line)


@pytest.mark.parametrize("scorer", list(SCORERS))
def test_an_image_is_normal_uncertain_or_anomalous(scorer: str) -> None:
    """Law: review < score <= threshold is uncertain, above is anomalous; each word does occur."""
    fitted = BY_SCORER[scorer]
    known = fitted.calibrate(fitted.contributions(HELD_OUT))
    detector = known.decide("conformal", {"target": 0.2}, review_target=0.7)
    line = detector.require_threshold()
    assert line.review is not None

    words = []
    for v in detector.judge(FRESH):
        assert v.flagged == (v.score > line.value)
        assert v.uncertain == (line.review < v.score <= line.value)
        assert v.word == (
            "anomalous" if v.flagged else "uncertain" if v.score > line.review else "normal"
        )
        assert v.p_value is not None
        assert (v.p_value <= 0.7) == (v.flagged or v.uncertain)  # what review promises
        words.append(v.word)
    assert set(words) == {"normal", "uncertain", "anomalous"}


def test_a_score_on_an_edge_belongs_below_it() -> None:
    """Contract: on the line is uncertain, where review begins is normal; a hair above is not."""
    low, high = SCORES[3], SCORES[20]

    words = {v.score: v.word for v in drawn(high, low).judge(FRESH)}

    assert (words[low], words[high]) == ("normal", "uncertain")
    assert (words[SCORES[4]], words[SCORES[21]]) == ("uncertain", "anomalous")
    hair_below = drawn(math.nextafter(high, -math.inf), math.nextafter(low, -math.inf))
    down = {v.score: v.word for v in hair_below.judge(FRESH)}
    assert (down[low], down[high]) == ("uncertain", "anomalous")


def test_without_a_band_nothing_is_uncertain() -> None:
    """Law: a band changes words only; flag, margin, p-value and map stay as they were."""
    plain, banded = (drawn(SCORES[20], review).judge(FRESH) for review in (None, SCORES[3]))

    assert [v.uncertain for v in plain] == [False] * len(plain)
    assert sum(v.uncertain for v in banded) == 17
    for one, other in zip(plain, banded, strict=True):
        assert (one.flagged, one.margin, one.p_value) == (
            other.flagged,
            other.margin,
            other.p_value,
        )
        assert bits(one.cells) == bits(other.cells)


def test_a_band_of_nothing_is_refused() -> None:
    """Contract: review has to begin below the line, from the start and when it is decided."""
    for review in (1.0, 2.0, math.nan, -math.inf):
        with pytest.raises(InvalidSpecError, match="nothing lies between"):
            Threshold(1.0, "manual", None, "", review=review)
    with pytest.raises(InvalidSpecError, match="nothing lies between"):
        KNOWN.decide("conformal", {"target": 0.2}, review_target=0.2)


def test_an_image_is_judged_by_its_groups_line() -> None:
    """Law: threshold, margin, flag and the map's region follow the group; score and map do not."""
    detector = KNOWN.decide("conformal", {"target": 0.1}, by_group=True)
    line = detector.require_threshold()
    assert set(line.by_group) == {"day", "night"}
    assert line.by_group["day"] < line.by_group["night"] <= line.value

    flags = {}
    for group, expected in {**line.by_group, "": line.value, "noon": line.value}.items():
        verdicts = detector.judge(FRESH, [group] * len(FRESH))
        assert [v.score for v in verdicts] == FITTED.scores(FRESH).tolist()
        for v in verdicts:
            assert (v.threshold, v.margin) == (expected, v.score - expected)
            assert v.flagged == (v.score > expected)
            assert v.cells is not None
            assert v.region == heatmap.worst_region(v.cells, expected)
        flags[group] = sum(v.flagged is True for v in verdicts)
    assert flags["day"] > flags["night"] >= flags[""] == flags["noon"]
    assert bits(detector.judge(FRESH)) == bits(detector.judge(FRESH, [""] * len(FRESH)))


@pytest.mark.parametrize("target", [0.05, 0.1, 0.3])
def test_a_p_value_is_of_the_group_whose_line_judges(target: float) -> None:
    """Reference: counted here within the group, the highest for others; flagged is p <= target."""
    detector = KNOWN.decide("conformal", {"target": target}, by_group=True)
    known, labels = detector.require_calibrated().scores, np.array(GROUPS)
    scores = np.array(SCORES)

    def among(held: np.ndarray) -> np.ndarray:
        counts = (held[None] >= scores[:, None]).sum(axis=1)
        return np.asarray((1 + counts) / (len(held) + 1))

    own = {name: among(known[labels == name]) for name in ("day", "night")}
    highest = np.max([among(known), *own.values()], axis=0)
    assert (own["day"] != own["night"]).any()
    flags: set[bool | None] = set()
    for group, expected in {**own, "": highest, "noon": highest}.items():
        verdicts = sorted(detector.judge(FRESH, [group] * 30), key=lambda v: v.score)
        assert [v.p_value for v in verdicts] == expected.tolist()
        assert [v.flagged for v in verdicts] == (expected <= target).tolist()
        flags |= {v.flagged for v in verdicts}
    assert flags == {True, False}


def test_groups_in_one_batch_do_not_mix() -> None:
    """Law: batch = alone: each image has the verdict that it has in a batch of its own group."""
    detector, rng = drawn(SCORES[25], day=SCORES[10], night=SCORES[18]), np.random.default_rng(0)
    names = ["day", "night", "noon", ""]
    alike = {name: bits(detector.judge(FRESH, [name] * 30)) for name in names}

    for _ in range(9):
        groups = rng.choice(names, size=30).tolist()
        expected = [alike[group][index] for index, group in enumerate(groups)]
        assert bits(detector.judge(FRESH, groups)) == expected


def test_without_lines_by_group_groups_do_not_matter() -> None:
    """Law: a detector with one line judges all alike, whatever is said of them."""
    for detector in (FITTED, KNOWN, drawn(SCORES[20], SCORES[3])):
        expected = bits(detector.judge(FRESH))
        assert bits(detector.judge(FRESH, ["day", "noon", ""] * 10)) == expected


def test_scores_without_a_line_give_p_values_but_no_decision() -> None:
    """Reference: p-values counted here; no flag, no margin, no band."""
    known = KNOWN.calibration
    assert known is not None
    for v in KNOWN.judge(FRESH):
        assert v.p_value == (1 + np.sum(known.scores >= v.score)) / 61
        assert (v.threshold, v.margin, v.flagged, v.uncertain) == (None, None, None, False)
        assert v.word == "uncalibrated"


def test_no_held_out_image_is_no_calibration() -> None:
    """Contract: with known anomalies alone there is no p-value; a line by hand still decides."""
    empty = FITTED.calibrate(PARTS[:0], anomalies=np.array([1e3]))
    by_hand = empty.decide("manual", {"value": SCORES[20]})

    assert {v.p_value for v in (*empty.judge(FRESH), *by_hand.judge(FRESH))} == {None}
    assert sum(v.flagged is True for v in by_hand.judge(FRESH)) == 9
    assert "unknown: there are no calibration" in by_hand.require_threshold().statement


@pytest.mark.parametrize(
    ("flagged", "uncertain", "word"),
    [
        (None, False, "uncalibrated"),
        (False, False, "normal"),
        (False, True, "uncertain"),
        (True, False, "anomalous"),
    ],
)
def test_one_word_for_every_verdict(flagged: bool | None, uncertain: bool, word: str) -> None:
    """Contract: the four words there are."""
    assert Verdict(1.0, {}, None, None, None, flagged, uncertain).word == word
