"""Leaving one group out: counts, the test behind the warning, and real groups."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, nhypergeom

from detector import conformal
from detector.calibration import Calibration, Share
from detector.errors import InsufficientCalibrationError, InvalidSpecError
from detector.groups import leave_one_group_out


def alike(seed: int, sizes: dict[str, int]) -> Calibration:
    """Return uniform scores in random order, whatever the group."""
    labels = [name for name, size in sizes.items() for _ in range(size)]
    rng = np.random.default_rng(seed)
    return Calibration(rng.uniform(size=len(labels)), tuple(rng.permutation(labels).tolist()))


@settings(max_examples=40)
@given(scores=st.lists(st.integers(0, 30), min_size=60, max_size=90), seed=st.integers(0, 99))
def test_counts_equal_a_naive_twin(scores: list[int], seed: int) -> None:
    """Reference: the line of all others, and a loop; unknown groups serve, but are not left out."""
    labels = np.random.default_rng(seed).choice(["", "a", "b", "c"], len(scores)).tolist()
    labels[:4] = ["", "a", "b", "c"]
    report = leave_one_group_out(Calibration(np.array(scores, dtype=float), tuple(labels)), 0.1)

    whole = conformal.threshold(np.array(scores, dtype=float), 0.1)
    pairs = list(zip(scores, labels, strict=True))
    assert [found.group for found in report.groups] == ["a", "b", "c"]
    for found in report.groups:
        own = [score for score, label in pairs if label == found.group]
        others = [float(score) for score, label in pairs if label != found.group]
        line = conformal.threshold(np.array(others), 0.1)
        assert found.threshold == line
        assert found.held_out == Share(sum(score > line for score in own), len(own))
        assert found.in_sample == Share(sum(score > whole for score in own), len(own))
    assert report.held_out.count == sum(found.held_out.count for found in report.groups)
    assert report.in_sample.of == report.held_out.of == sum(label != "" for label in labels)


@pytest.mark.parametrize(("count", "size"), [(0, 12), (3, 12), (9, 12), (12, 12)])
def test_p_values_are_those_of_drawing_without_replacement(count: int, size: int) -> None:
    """Reference: scipy's negative hypergeometric law, of exchangeable ranks.

    In a random order of n + m ranks, those below the k-th of the others are drawn before it.
    """
    n, target = 79, 0.1
    k = conformal.rank(n, target)
    own = np.concatenate([np.full(count, 1_000.0), np.full(size - count, -1.0)])
    calibration = Calibration(
        np.concatenate([own, np.arange(79.0)]), ("new",) * size + ("old",) * n
    )

    found = leave_one_group_out(calibration, target).groups[0]

    assert found.held_out.count == count
    below = sum(nhypergeom(n + size, size, k).pmf(failures) for failures in range(size - count + 1))
    assert found.p_value == pytest.approx(below, rel=1e-9)


def test_warnings_are_rare_when_groups_are_alike() -> None:
    """Law: at most 5 % of calibrations of which only the names of the groups differ."""
    sizes = {"a": 60, "b": 40, "c": 25, "d": 5}
    warned = [
        leave_one_group_out(alike(seed, sizes), 0.1).warning is not None for seed in range(1_000)
    ]

    assert 0.005 < np.mean(warned) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1_000)


def test_an_odd_group_is_named_and_an_in_sample_figure_hides_it() -> None:
    """Law: one lot in four brighter; the line drawn with it flags few, the one without, it."""
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(size=150), rng.normal(4, 1, size=50)])
    labels = ("a",) * 50 + ("b",) * 50 + ("c",) * 50 + ("bright",) * 50

    report = leave_one_group_out(Calibration(scores, labels), 0.05)

    assert report.in_sample.rate <= 0.05
    assert report.held_out.rate > 0.2
    assert report.warning is not None
    assert f"'bright' ({report.groups[2].held_out} flagged)" in report.warning
    assert f"flagged {report.held_out} times, in-sample {report.in_sample}" in report.warning
    assert "beta-binomial" in report.warning
    assert "'a'" not in report.warning


def test_many_odd_groups_are_counted() -> None:
    """Contract: a warning stays a sentence."""
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(size=900), rng.normal(6, 0.1, size=60)])
    labels = ("old",) * 900 + tuple(f"lot {index // 10}" for index in range(60))

    warning = leave_one_group_out(Calibration(scores, labels), 0.1).warning

    assert warning is not None
    assert "and 1 more" in warning


def test_groups_that_were_never_fitted_are_judged_by_their_own_scores() -> None:
    """Law: the same report from refitted scores; those of the calibration give the first form."""
    calibration = alike(3, {"a": 60, "b": 40})
    same = {
        name: (calibration.scores[mask], calibration.scores[~mask])
        for name, mask in calibration.masks.items()
    }
    plain = leave_one_group_out(calibration, 0.1)
    assert leave_one_group_out(calibration, 0.1, same) == plain

    odd = {"a": (same["a"][0] + 1, same["a"][1]), "b": same["b"]}
    report = leave_one_group_out(calibration, 0.1, odd)

    assert report.groups[0].held_out == Share(60, 60)
    assert report.groups[1] == plain.groups[1]
    assert report.in_sample == plain.in_sample
    assert report.warning is not None


def test_the_interval_is_wide_where_groups_differ() -> None:
    """Reference: Clopper-Pearson's, and a t interval worked by hand, whichever is wider."""
    calibration = Calibration(np.zeros(90), ("a",) * 30 + ("b",) * 30 + ("c",) * 30)
    assert leave_one_group_out(calibration, 0.1).interval == Share(0, 90).interval

    others = np.arange(60.0)
    own = np.concatenate([np.zeros(24), np.full(6, 99.0)])
    counts = {"a": 0, "b": 6, "c": 0}
    refitted = {name: (own if count else np.zeros(30), others) for name, count in counts.items()}
    low, high = leave_one_group_out(calibration, 0.1, refitted).interval

    exact = binomtest(6, 90).proportion_ci(0.95, method="exact")
    deviation = np.std([0, 6 / 30, 0], ddof=1) / np.sqrt(3)
    assert low == 0 < exact.low
    assert high == pytest.approx(6 / 90 + 4.302652729696142 * deviation)  # t, 2 degrees, 97.5 %
    assert high > exact.high


def test_one_group_beside_unknown_ones_says_little() -> None:
    """Contract: a group is left out of the images of unknown group; one group has no spread."""
    calibration = Calibration(np.arange(40.0), ("",) * 30 + ("late",) * 10)

    report = leave_one_group_out(calibration, 0.1)

    assert report.held_out == Share(10, 10)
    assert report.interval == (0.0, 1.0)


def test_what_cannot_be_left_out_is_refused() -> None:
    """Contract: no groups; too few others, by name; refitted scores of something else."""
    with pytest.raises(InvalidSpecError, match="no calibration image has a group"):
        leave_one_group_out(Calibration(np.arange(50.0)), 0.1)
    with pytest.raises(InsufficientCalibrationError, match=r"without group 'a', .* there are 5"):
        leave_one_group_out(Calibration(np.arange(50.0), ("a",) * 45 + ("b",) * 5), 0.1)

    calibration = alike(0, {"a": 20, "b": 20})
    half = np.zeros(20)
    with pytest.raises(InvalidSpecError, match="the calibration has a, b"):
        leave_one_group_out(calibration, 0.1, {"a": (half, half)})
    with pytest.raises(InvalidSpecError, match="19 and 20 refitted scores"):
        leave_one_group_out(calibration, 0.1, {"a": (half[1:], half), "b": (half, half)})
    with pytest.raises(InvalidSpecError, match="'b' must be finite"):
        leave_one_group_out(
            calibration, 0.1, {"a": (half, half), "b": (half / np.inf, half + np.inf)}
        )
