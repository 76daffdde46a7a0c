"""Samples and whole statistics: what is kept depends on the set alone; merge and subtract."""

import numpy as np
import pytest
from embedding_helpers import bits, select, synthetic
from hypothesis import given
from hypothesis import strategies as st

from detector import statistics
from detector.cell_moments import CellMoments
from detector.detector import Detector
from detector.moments import Moments
from detector.options import Options
from detector.sample import Sample, keys_of
from detector.spec import Spec
from detector.statistics import Statistics

LIMITS = st.integers(0, 12)
SETS = st.lists(st.integers(0, 40), max_size=25)


def sample_of(limit: int, identities: list[int]) -> Sample:
    """Return a sample whose one column tells which entry it is."""
    identity = np.array(identities, dtype=np.int64).reshape(-1, 1)
    return Sample.of(limit, identity, who=identity[:, 0])


@given(limit=LIMITS, identities=SETS)
def test_a_sample_holds_the_entries_of_smallest_hash(limit: int, identities: list[int]) -> None:
    """Reference: sorted by key in plain Python; each identity once, its column beside it."""
    keys = {int(keys_of(np.array([[i]]))[0]): i for i in identities}
    expected = sorted(keys)[:limit]

    sample = sample_of(limit, identities)

    assert sample.keys.tolist() == expected
    assert sample.columns["who"].tolist() == [keys[key] for key in expected]
    assert len(sample) == len(expected) <= limit


@given(limit=LIMITS, identities=SETS, cut=st.integers(0, 25), data=st.data())
def test_order_and_parts_do_not_matter(
    limit: int, identities: list[int], cut: int, data: st.DataObject
) -> None:
    """Law: split + merge = whole, in any order; overlaps count once."""
    shuffled = data.draw(st.permutations(identities))
    first, second = sample_of(limit, shuffled[:cut]), sample_of(limit, shuffled[cut:])
    whole = bits(sample_of(limit, identities))

    assert bits(first + second) == bits(second + first) == whole
    assert bits((first + second) + second) == whole


@given(limit=LIMITS, kept=SETS, gone=SETS)
def test_forgotten_entries_are_gone_and_no_others_come(
    limit: int, kept: list[int], gone: list[int]
) -> None:
    """Law: extend then forget holds a part of what was never extended; all if nothing displaced."""
    gone = [identity for identity in gone if identity not in kept]
    never, extra = sample_of(limit, kept), sample_of(limit, gone)

    forgotten = (never + extra) - extra

    assert set(forgotten.columns["who"].tolist()) <= set(never.columns["who"].tolist())
    if len(set(kept)) + len(set(gone)) <= limit:
        assert bits(forgotten) == bits(never)


def test_samples_that_differ_do_not_merge() -> None:
    """Contract: other limits and other columns are refused."""
    sample = sample_of(3, [1, 2])
    other = Sample.of(3, np.array([[1]]), what=np.array([1]))
    for stranger in (sample_of(4, [1]), other):
        with pytest.raises(ValueError, match="different limits or columns"):
            _ = sample + stranger


def everything(seed: int, n: int) -> Statistics:
    """Return moments, cells, memory and evidence of some images."""
    options = Options(memory=2000, evidence=500)
    return Detector(Spec("a", "b", "f", options=options)).statistics_of(synthetic(seed, n))


def assert_close(actual: Statistics, expected: Statistics) -> None:
    """Compare statistics: samples to the bit, moments to 1e-8."""
    assert list(actual) == list(expected)
    for name, part in expected.items():
        found = actual[name]
        if isinstance(part, Sample):
            assert bits(found) == bits(part)
            continue
        assert isinstance(found, Moments | CellMoments)
        assert found.n == part.n
        np.testing.assert_allclose(found.mean, part.mean, rtol=1e-8, atol=1e-10)
        size = max(float(np.abs(part.scatter).max()), 1.0)
        np.testing.assert_allclose(found.scatter, part.scatter, rtol=0, atol=1e-8 * size)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 9), cut=st.integers(0, 9))
def test_statistics_of_parts_merge_to_those_of_the_whole(seed: int, n: int, cut: int) -> None:
    """Law: split + merge = whole; of all four kinds at once."""
    whole = synthetic(seed, n)
    detector = Detector(Spec("a", "b", "f", options=Options(memory=2000, evidence=500)))
    first, second = (
        detector.statistics_of(select(whole, range(*part)))
        for part in ((min(cut, n),), (min(cut, n), n))
    )

    merged = statistics.merge(first, second)

    assert set(merged) == {"first", "second", "regional", "memory", "evidence"}
    assert statistics.images(merged) == n
    assert_close(merged, detector.statistics_of(whole))


@given(seed=st.integers(0, 2**31), n=st.integers(1, 9), m=st.integers(1, 9))
def test_statistics_extended_then_forgotten_are_those_never_extended(
    seed: int, n: int, m: int
) -> None:
    """Law: extend, then forget = never seen; nothing is displaced from these samples."""
    seen, extra = everything(seed, n), everything(seed + 2**31, m)

    assert_close(statistics.subtract(statistics.merge(seen, extra), extra), seen)


def test_nothing_is_the_neutral_element_and_knows_no_images() -> None:
    """Law: merge with no statistics is no change."""
    some = everything(0, 4)

    assert statistics.merge(some, {}) is some
    assert statistics.merge({}, some) is some
    assert [statistics.images(s) for s in (some, {})] == [4, 0]


def test_statistics_of_other_names_are_refused() -> None:
    """Contract: rows of two backbones never mix silently."""
    part = {"x": Moments.of(np.eye(2))}
    for combine in (statistics.merge, statistics.subtract):
        with pytest.raises(ValueError, match=r"\['x'\] and \['y'\]"):
            combine(part, {"y": part["x"]})


def test_samples_may_be_missing_from_either_part() -> None:
    """Law: rows kept without pixels merge and subtract as moments; samples stay what they were."""
    detector = Detector(Spec("a", "b", "f", options=Options(memory=2000, evidence=500)))
    rows = detector.rows(synthetic(1, 5))
    whole, bare = map(detector.statistics_of, (rows, rows.without_pixels()))
    seen = everything(0, 4)
    samples = {"memory", "evidence"}
    assert set(bare) == set(whole) - samples

    for merged in (statistics.merge(seen, bare), statistics.merge(bare, seen)):
        assert statistics.images(merged) == 9
        assert {name: bits(merged[name]) for name in samples} == {
            name: bits(seen[name]) for name in samples
        }
        assert_close(statistics.subtract(merged, bare), {name: seen[name] for name in merged})
    both = statistics.merge(seen, whole)
    left = statistics.subtract(both, bare)
    assert {name: bits(left[name]) for name in samples} == {
        name: bits(both[name]) for name in samples
    }
    assert_close({n: left[n] for n in bare}, {n: seen[n] for n in bare})


def test_options_leave_out_what_was_not_asked_for() -> None:
    """Contract: no memory without a regional scorer or a limit, no evidence at limit 0."""
    embedding = synthetic(0, 3)
    for scorer, options, expected in (
        ("gaussian", Options(memory=9, evidence=0), {"first", "second"}),
        ("regional", Options(evidence=0), {"regional"}),
        ("fusion", Options(blocks=("second",), evidence=3), {"second", "regional", "evidence"}),
    ):
        found = Detector(Spec("a", "b", "f", scorer, options=options)).statistics_of(embedding)
        assert set(found) == expected
