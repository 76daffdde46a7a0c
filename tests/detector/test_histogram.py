"""How a calibration has scored, as a histogram."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.calibration import MOST, Calibration
from detector.histogram import histogram

LARGEST = float(np.finfo(np.float64).max)
SCORES = st.lists(st.floats(-MOST, MOST), max_size=20)
LINES = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@given(SCORES, SCORES, LINES, st.integers(10, 200))
@example([], [], None, 10)
@example([3.0] * 5, [], 3.0, 60)
@example([0.0], [5e-324], None, 200)
@example([1e300], [-1e300], LARGEST, 200)
@example([-1e300], [], -LARGEST, 10)
@example([1.0, 1.0 + 2**-52], [], None, 200)
def test_every_image_is_in_one_bin(
    normal: list[float], anomalous: list[float], line: float | None, bins: int
) -> None:
    """Law: counts sum to the images; edges ascend, are finite, and take in all there is."""
    known = Calibration(np.array(normal), anomalies=np.array(anomalous))
    found = histogram(known, line, bins)
    assert len(found.edges) == bins + 1
    assert np.isfinite(found.edges).all()
    assert (found.edges[1:] > found.edges[:-1]).all()
    assert found.normal.sum() == len(normal)
    assert found.anomalous.sum() == len(anomalous)
    for value in [*normal, *anomalous, *([] if line is None else [line])]:
        assert found.edges[0] <= value <= found.edges[-1]


@pytest.mark.parametrize("line", [None, -3.0, 0.5, 9.0])
def test_bins_hold_their_lower_edge(line: float | None) -> None:
    """Reference: a naive count; the last bin holds its upper edge, too."""
    rng = np.random.default_rng(0)
    scores, anomalies = rng.normal(size=200).round(2), 2 + rng.normal(size=30).round(2)
    found = histogram(Calibration(scores, anomalies=anomalies), line, 37)
    for values, counts in ((scores, found.normal), (anomalies, found.anomalous)):
        for place, count in enumerate(counts):
            low, high = found.edges[place : place + 2]
            last = place == len(counts) - 1
            assert count == sum(low <= each < high or (last and each == high) for each in values)
    np.testing.assert_allclose(np.diff(found.edges), np.diff(found.edges)[0])


def test_edges_are_the_extremes() -> None:
    """Contract: nothing is beyond the first and the last bin unless all scores are alike."""
    known = Calibration(np.array([2.0, 5.0]), anomalies=np.array([9.0]))
    assert histogram(known, None, 10).edges[[0, -1]].tolist() == [2.0, 9.0]
    assert histogram(known, 1.0, 10).edges[[0, -1]].tolist() == [1.0, 9.0]
    alike = histogram(Calibration(np.full(3, 4.0)), 4.0, 10)
    assert alike.edges[0] < 4.0 < alike.edges[-1]
    assert sorted(alike.normal) == [0] * 9 + [3]
