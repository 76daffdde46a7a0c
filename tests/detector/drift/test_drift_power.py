"""How soon changes are seen, and what the report says of it."""

import numpy as np
import pytest
from drift_helpers import line_of, skewed

from detector.calibration import Share
from detector.drift.autocorrelation import Thinning
from detector.drift.power import Change, Power, simulated
from detector.drift.promise import Promise
from detector.drift.state import Baseline


def normal(images: int, seed: int = 0) -> Baseline:
    scores = np.random.default_rng(seed).normal(size=images)
    return Baseline(scores, line_of(scores))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("change", [Change(shift=0.5), Change(shift=-0.5), Change(spread=1.5)])
def test_changes_are_seen_soon(change: Change) -> None:
    """Law: 80 images in the median at one false alarm per 10,000 images, all monitors together.

    Windows have their share of the promise. The middle one of 36 calibrations of 1,000 images: of
    one alone it depends on its draw.
    """
    medians = []
    for seed in range(36):
        power = simulated(
            normal(1000, seed),
            Promise(10_000.0),
            Thinning(),
            change,
            repeats=11,
            before=1000,
            windows=True,
        )
        assert power.seen.rate > 0.8
        medians.append(power.median_images or 1000)
    assert 20 < np.median(medians) <= 80


@pytest.mark.usefixtures("unchecked")
def test_larger_changes_are_seen_sooner_and_none_hardly_ever() -> None:
    """Law: by size of the shift; images that are not monitored count; no change is not seen."""
    found = {}
    for shift in (0.0, 1.0, 3.0):
        found[shift] = simulated(
            normal(300), Promise(10_000.0), Thinning(), Change(shift), repeats=15, horizon=300
        )
    thinned = simulated(
        normal(3000), Promise(10_000.0), Thinning(10.0), Change(1.0), repeats=15, horizon=1000
    )
    assert found[0.0].seen.count <= 1
    assert found[0.0].median_images is None
    assert (found[3.0].median_images or 99) < (found[1.0].median_images or 0)
    assert thinned.median_images is not None
    assert thinned.median_images % 10 == 0
    assert thinned.median_images > 3 * (found[1.0].median_images or 99)


def test_a_simulation_can_be_repeated_and_takes_inputs_along() -> None:
    """Contract: the same seed, the same report; inputs share the promise."""
    scores = skewed(0, 40)
    baseline = Baseline(scores, line_of(scores), np.random.default_rng(0).normal(size=(40, 3)))
    reports = [
        simulated(baseline, Promise(50.0), Thinning(), Change(3.0), repeats=3, before=9, horizon=40)
        for _ in range(2)
    ]
    assert reports[0] == reports[1]


def test_a_report_says_what_was_simulated() -> None:
    """Contract: sentences for people."""
    seen = Power(Change(0.5), Share(49, 50), 74, 1000)
    assert str(seen) == (
        "With these settings a shift by 0.5 sd is seen in about 74 images (median; within 1,000 "
        "images in 49 of 50 simulations)."
    )
    unseen = Power(Change(0.1, 1.1), Share(3, 50), None, 1000)
    assert (
        "a shift by 0.1 sd with a spread times 1.1 is seen within 1,000 images in only 3 of 50"
        in str(unseen)
    )
    assert str(Change()) == "no change"
