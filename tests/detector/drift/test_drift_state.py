"""The monitors of one detector together: restart, batches, alarms, what is refused."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drift_helpers import begun, line_of, skewed
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.drift.autocorrelation import Thinning
from detector.drift.promise import Promise
from detector.drift.state import INPUTS, MONITORS, WINDOW, Alarm, Baseline, DriftState
from detector.errors import InvalidSpecError


def bits(state: DriftState) -> Any:
    """Return all that a state holds, comparable to the last bit."""
    header, arrays = state.save()
    return json.dumps(header), {name: (a.dtype, a.tobytes()) for name, a in arrays.items()}


def restarted(state: DriftState) -> DriftState:
    """Return what another process would make of what was saved."""
    header, arrays = state.save()
    return DriftState.restored(json.loads(json.dumps(header)), arrays)


GROUPS = st.lists(st.sampled_from("ab"), min_size=1, max_size=30)
THINNINGS = st.sampled_from([Thinning(), Thinning(3.0), Thinning(2.0, by_group=True)])


@settings(max_examples=15)
@given(GROUPS, THINNINGS, st.integers(0, 30), st.integers(-(2**70), 2**70), st.booleans())
def test_a_restart_changes_nothing(
    groups: list[str], thinning: Thinning, pause: int, seed: int, watch_inputs: bool
) -> None:
    """Law: restart = same state, at any image, whatever is monitored; batch = one by one."""
    scores, n = skewed(1, 20), len(groups)
    seen = np.random.default_rng(2).normal(size=(20, 3))
    baseline = Baseline(
        scores, line_of(scores), seen if watch_inputs else None, tuple(["x", "y"] * 10)
    )
    whole = DriftState(baseline, Promise(5.0), thinning, seed)
    paused = DriftState(baseline, Promise(5.0), thinning, seed)
    stream = (2 * skewed(3, n)).tolist()
    inputs = np.random.default_rng(4).normal(1, 1, size=(n, 3)).tolist() if watch_inputs else None

    alarms = whole.update_all(stream, inputs, groups)
    one_by_one: list[Alarm] = []
    for i, score in enumerate(stream):
        if i == pause:
            assert bits(restarted(paused)) == bits(paused)
            paused = restarted(paused)
        one_by_one += paused.update(score, inputs[i] if inputs else None, groups[i])

    assert one_by_one == alarms
    assert bits(paused) == bits(whole)
    assert bits(restarted(whole)) == bits(whole)


@pytest.mark.usefixtures("unchecked")
def test_a_restart_after_many_images_changes_nothing() -> None:
    """Law: restart = same state when scores are counted at edges and alarms are latched."""
    state = begun(0, images=50.0, inputs=True)
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(3000, 3)).tolist()
    state.update_all(rng.gamma(4, size=2500).tolist(), inputs[:2500])
    assert state.latched
    again = restarted(state)
    state.update_all(rng.gamma(5, size=500).tolist(), inputs[2500:])
    rng = np.random.default_rng(5)
    rng.normal(size=(3000, 3)), rng.gamma(4, size=2500)
    again.update_all(rng.gamma(5, size=500).tolist(), inputs[2500:])
    assert bits(again) == bits(state)


def test_only_the_seed_tells_two_states_apart() -> None:
    """Contract: the randomiser is the seed's; the same seed gives the same evidence."""
    stream = skewed(9, 20).tolist()
    found = []
    for seed in (1, 1, 2):
        scores = skewed(0, 30)
        state = DriftState(Baseline(scores, line_of(scores)), Promise(100.0), Thinning(), seed)
        state.update_all(stream)
        found.append(state.streams["bulk"].evidence.ln_m)
    assert found[0] == found[1] != found[2]


MOVED = (4.0, 0.0, 0.0)


def drifted(images: int = 150, **options: Any) -> DriftState:
    """Return a state after traffic that has moved far, scores and brightness both."""
    state = begun(0, images=10_000.0, inputs=True, **options)
    rows = np.random.default_rng(1).normal(MOVED, size=(images, 3))
    state.update_all((skewed(1, images) + 4).tolist(), rows.tolist())
    return state


def test_alarms_stay_until_they_are_acknowledged() -> None:
    """Contract: raised once, latched, counted; acknowledged by monitor or all; then raised anew."""
    state = drifted()
    first = dict(state.latched)
    assert {"bulk", "frozen", "brightness"} == set(first)
    assert state.alarms == {name: int(name in first) for name in state.streams}
    assert all(state.streams[name].evidence.log10 > 1 for name in first)

    state.acknowledge("input")
    assert set(state.latched) == set(first) - {"brightness"}
    assert state.streams["brightness"].evidence.log10 == 0
    assert state.streams["bulk"].evidence.log10 > 1

    state.acknowledge()
    assert not state.latched
    again = state.update_all([9.0] * 60, [[4.0, 0.0, 0.0]] * 60)
    assert "frozen" in {alarm.stream for alarm in again}
    assert all(alarm.image >= 150 for alarm in again)
    assert state.alarms["frozen"] == 2


def test_a_rebaseline_compares_with_the_new_world() -> None:
    """Contract: what had drifted is normal now; the images' numbers and counts of alarms go on."""
    state = drifted()
    scores = skewed(7, 300) + 4
    inputs = np.random.default_rng(7).normal(MOVED, size=(300, 3))
    state.rebaseline(Baseline(scores, line_of(scores), inputs))
    assert not state.latched
    assert state.line == line_of(scores)
    assert state.alarms["bulk"] == 1

    rows = np.random.default_rng(8).normal(MOVED, size=(60, 3))
    assert state.update_all((skewed(8, 60) + 4).tolist(), rows.tolist()) == []
    assert state.images == 210

    state.rebaseline(Baseline(scores, line_of(scores)), Thinning(5.0))
    assert list(state.streams) == ["bulk", "rate", "frozen"]
    assert state.update(5.0) == ()
    assert state.alarms["brightness"] == 1


def test_a_rebaseline_that_is_refused_changes_nothing() -> None:
    """Contract: the old baseline stays."""
    state = drifted(5)
    before = bits(state)
    with pytest.raises(InvalidSpecError, match="more than 20000 images"):
        state.rebaseline(Baseline(skewed(0, 9), 99.0), Thinning(20_000.0))
    assert bits(state) == before


def test_images_are_skipped_between_those_that_count() -> None:
    """Contract: by lag the first of every k; by group the first of each run; all are numbered."""
    scores = skewed(0, 40)
    groups = tuple("aabb" * 10)
    baseline = Baseline(scores, 99.0, groups=groups)
    by_lag = DriftState(baseline, Promise(1000.0), Thinning(4.0), 0)
    by_group = DriftState(baseline, Promise(1000.0), Thinning(2.0, by_group=True), 0)
    for state, monitored in ((by_lag, 3), (by_group, 4)):
        begun_with = state.streams["bulk"].to_arrays()["edges"].size
        state.update_all(scores[:10].tolist(), None, "aaabbbcaaa")
        assert state.images == 10
        assert state.streams["bulk"].to_arrays()["edges"].size == begun_with + monitored
    assert by_lag.thresholds_log10["bulk"] == pytest.approx(np.log10(1000 / 4 * 6 / 4))


def test_flagged_images_are_the_business_of_the_rate_alone() -> None:
    """Law: bulk and frozen are the same to the last bit with and without defects in between."""
    clean, dirty = begun(0), begun(0)
    defect = clean.line + 5
    for i, score in enumerate(skewed(3, 60).tolist()):
        clean.update(score)
        dirty.update(score if i % 3 else defect)
    unflagged = [score for i, score in enumerate(skewed(3, 60).tolist()) if i % 3]
    only = begun(0)
    for score in unflagged:
        only.update(score)
    frozen, alone = dirty.streams["frozen"].evidence, only.streams["frozen"].evidence
    assert (frozen.ln_m, frozen.ln_r) == (alone.ln_m, alone.ln_r)
    edges = dirty.streams["bulk"].to_arrays()["edges"]
    np.testing.assert_array_equal(edges, only.streams["bulk"].to_arrays()["edges"])
    assert dirty.streams["rate"].evidence.ln_r > clean.streams["rate"].evidence.ln_r + 2


def test_a_state_says_when_it_has_too_little_to_compare_with() -> None:
    """Contract: below 100 scores."""
    state = begun(0, calibration=95)
    assert state.warming_up
    state.update_all(skewed(1, 9).clip(0, state.line).tolist())
    assert not state.warming_up


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_images_without_numbers_are_refused(bad: float) -> None:
    """Contract: a finite score, and inputs exactly if the baseline has them; nothing changes."""
    plain, full = begun(0), begun(0, inputs=True)
    before = bits(plain), bits(full)
    for state, score, inputs in (
        (plain, bad, None),
        (plain, 1.0, [1.0, 1.0, 1.0]),
        (full, 1.0, None),
        (full, 1.0, [1.0, bad, 1.0]),
        (full, 1.0, [1.0, 1.0]),
    ):
        with pytest.raises(InvalidSpecError, match="finite score"):
            state.update(score, inputs)
    assert (bits(plain), bits(full)) == before


@pytest.mark.usefixtures("unchecked")
def test_baselines_that_cannot_be_are_refused() -> None:
    """Contract: finite, as many inputs as scores, and not all above the line."""
    good = Baseline(np.arange(4.0), 9.0, np.zeros((4, 3)))
    for change, said in (
        ({"scores": np.array([1.0, np.nan, 1.0, 1.0])}, "finite"),
        ({"inputs": np.full((4, 3), np.inf)}, "finite"),
        ({"inputs": np.zeros((3, 3))}, "inputs of 3 images"),
        ({"line": -1.0}, "must not be above"),
    ):
        with pytest.raises(InvalidSpecError, match=said):
            replace(good, **change)


def test_thinning_never_leaves_nothing_to_compare_with() -> None:
    """Contract: if all images it would keep are above the line, those up to it are kept."""
    kept = Baseline(np.array([9.0, 1.0, 9.0, 2.0]), 5.0).kept(Thinning(2.0))
    assert kept.scores.tolist() == [1.0, 2.0]


def test_every_stream_has_a_monitor() -> None:
    """Contract: the names that are shown."""
    assert {*begun(0, inputs=True).streams, WINDOW} == set(MONITORS)
    assert {MONITORS[name] for name in INPUTS} == {"input"}
