"""The formula of the shares against a naive twin, and the scorers' coordinates they begin with."""

import math
from typing import Any

import numpy as np
import pytest
from embedding_helpers import synthetic
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scorer_helpers import CASES, Case

from detector.detector import Detector
from detector.moments import Moments
from detector.options import Options
from detector.places import given_to_places
from detector.scorers import SCORERS, gaussian
from detector.scorers.base import Slopes

LINEAR = [case for case in CASES if case.scorer in ("gaussian", "prototype") and not case.region]
OTHERS = [case for case in CASES if case not in LINEAR]


def rows_of(detector: Detector, count: int) -> dict[str, np.ndarray]:
    return dict(detector.rows(synthetic(1, count)).blocks)


def coordinates_of(detector: Detector, rows: dict[str, np.ndarray]) -> dict[str, Slopes]:
    found = detector._scorer.coordinates(rows)
    assert found is not None
    return found


@pytest.mark.parametrize("case", LINEAR, ids=str)
def test_coordinates_sum_to_the_contributions(case: Case) -> None:
    """Law: block by block, of every row; a row's do not depend on the others."""
    detector = case.fitted(synthetic(0, 30))
    rows = rows_of(detector, 6)

    found = coordinates_of(detector, rows)

    sums = [((rows[name] - part.normal) * part.slope).sum(axis=1) for name, part in found.items()]
    np.testing.assert_allclose(np.stack(sums, axis=1), detector._scorer.contributions(rows))
    alone = coordinates_of(detector, {name: each[3:4] for name, each in rows.items()})
    for name, part in found.items():
        np.testing.assert_allclose(alone[name].slope[0], part.slope[3], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("scorer", "variant"),
    [
        ("gaussian", "plain"),
        ("gaussian", "zscore"),
        ("gaussian", "diagonal"),
        ("prototype", "plain"),
        ("prototype", "zscore"),
    ],
)
def test_slopes_are_the_gradient_of_the_score(
    scorer: str, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference: central differences of the score, by steps of float32; of several tiles."""
    monkeypatch.setattr(gaussian, "TILE_SIDE", 7)
    case = Case(scorer, "squeeze_stats", variant, region=False)
    detector = case.fitted(synthetic(0, 30))
    rows = rows_of(detector, 1)
    found = coordinates_of(detector, rows)

    for name, part in found.items():
        for place in range(rows[name].shape[1]):
            at, scores = [], []
            for step in (-0.01, 0.01):
                moved = {block: each.copy() for block, each in rows.items()}
                moved[name][0, place] += step
                at.append(float(moved[name][0, place]))
                scores.append(detector._scorer.contributions(moved).sum())
            slope = (scores[1] - scores[0]) / (at[1] - at[0])
            assert part.slope[0, place] == pytest.approx(slope, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("scorer", ["gaussian", "prototype"])
@pytest.mark.parametrize("normalise", ["none", "zscore"])
def test_the_normal_row_has_no_slope(scorer: str, normalise: Any) -> None:
    """Law: at distance 0, where the gradient is not defined, nothing contributes; nothing warns."""
    normal = np.float32([4, -2, 8])
    fitted = np.concatenate([normal + np.eye(3), normal - np.eye(3)])
    made = SCORERS[scorer]({"a": Moments.of(fitted)}, Options(normalise=normalise))

    found = made.coordinates({"a": normal[None]})

    assert found is not None
    np.testing.assert_array_equal(found["a"].slope, 0)
    np.testing.assert_allclose(found["a"].normal, normal)


@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_other_scorers_have_no_coordinates(case: Case) -> None:
    """Contract: None, which is refused."""
    detector = case.fitted(synthetic(0, 30))
    rows = detector.rows(case.seen(synthetic(1, 3))).blocks
    assert detector._scorer.coordinates(rows) is None


def exact_row(x: np.ndarray, w: np.ndarray, statistics: int) -> np.ndarray:
    """The statistics of a map (c, p), by loops."""
    means, deviations, highest = [], [], []
    for channel in x:
        inside = [(float(v), float(u)) for v, u in zip(channel, w, strict=True) if u > 0]
        mean = math.fsum(v * u for v, u in inside)
        means.append(mean)
        deviations.append(math.sqrt(math.fsum(u * (v - mean) ** 2 for v, u in inside)))
        highest.append(max(v for v, _ in inside))
    return np.array(means if statistics == 1 else means + deviations + highest)


def twin(
    x: np.ndarray, w: np.ndarray, row: np.ndarray, normal: np.ndarray, slope: np.ndarray
) -> list[float]:
    """The shares place by place, coordinate by coordinate, as the module's formula says it."""
    c, inside = len(x), [place for place in range(len(w)) if w[place] > 0]
    found = [0.0] * len(w)
    for j in range(len(row)):
        channel = x[j % c].astype(np.float64)
        t = slope[j] * (row[j] - normal[j])
        if j < c:
            parts = {p: slope[j] * w[p] * (channel[p] - normal[j]) for p in inside}
        elif j < 2 * c:
            squares = {p: w[p] * (channel[p] - row[j - c]) ** 2 for p in inside}
            whole = math.fsum(squares.values())
            parts = {p: t * (squares[p] / whole if whole > 0 else w[p]) for p in inside}
        else:
            top = max(channel[p] for p in inside)
            ties = [p for p in inside if channel[p] == top]
            parts = {p: t / len(ties) for p in ties}
        for place, part in parts.items():
            found[place] += part
    return found


VALUES = st.one_of(
    st.integers(-3, 3).map(float),  # many ties, and channels in which nothing varies
    st.floats(-1e4, 1e4, width=32),
)


@given(data=st.data(), statistics=st.sampled_from([1, 3]))
def test_shares_are_those_of_the_twin(data: st.DataObject, statistics: int) -> None:
    """Reference: loops; any map, weights, slopes; what lies where nothing counts is not looked at.

    Channels hold whole numbers or vary by 0.01 and more: of others, float64's mean leaves dust.
    """
    shape = data.draw(arrays.array_shapes(min_dims=2, max_dims=4, max_side=4))
    x = data.draw(arrays.arrays(np.float32, shape, elements=VALUES)).round(2)
    c = shape[0]
    weights = data.draw(arrays.arrays(np.float64, shape[1:], elements=st.integers(0, 3).map(float)))
    weights.flat[data.draw(st.integers(0, weights.size - 1))] = 1
    share = weights / weights.sum()
    slope, normal = data.draw(
        arrays.arrays(np.float64, (2, statistics * c), elements=st.floats(-10, 10))
    )
    flat, w = x.reshape(c, -1), share.reshape(-1)
    row = exact_row(flat, w, statistics)
    x.reshape(c, -1)[:, w == 0] = data.draw(st.sampled_from([0.0, np.nan, np.inf, 1e30]))

    found = given_to_places(x, share, row, normal, slope)

    assert found.shape == share.shape
    np.testing.assert_array_equal(found[share == 0], 0)
    size = 1e-9 * (1 + np.abs(slope).max() * max(np.abs(row).max(), np.abs(normal).max()))
    np.testing.assert_allclose(found.reshape(-1), twin(flat, w, row, normal, slope), atol=size)
    assert found.sum() == pytest.approx((slope * (row - normal)).sum(), abs=100 * size)


def test_rounding_of_the_row_is_spread_as_well() -> None:
    """Law: the sum is that of the row the scorer saw, not of the one the map would give."""
    rng = np.random.default_rng(0)
    x, share = rng.normal(size=(4, 3, 5)).astype(np.float32), np.full((3, 5), 1 / 15)
    slope, normal = rng.normal(size=(2, 12))
    row = exact_row(x.reshape(4, -1), share.reshape(-1), 3) + rng.normal(0, 0.01, size=12)

    found = given_to_places(x, share, row, normal, slope)

    assert found.sum() == pytest.approx((slope * (row - normal)).sum(), rel=1e-12)


@pytest.mark.parametrize("scorer", ["gaussian", "prototype"])
@pytest.mark.parametrize("statistics", [1, 3])
def test_one_odd_place_of_a_map_has_the_largest_share(scorer: str, statistics: int) -> None:
    """Law: of maps of noise, one place far out is found each time, by most of the score."""
    rng, w = np.random.default_rng(0), np.full(20, 1 / 20)
    maps = rng.normal(size=(80, 4, 20)).astype(np.float32)
    fitted = Moments.of(np.stack([exact_row(x, w, statistics) for x in maps]))
    made = SCORERS[scorer]({"a": fitted}, Options())
    for turn in range(20):
        x, where = rng.normal(size=(4, 20)).astype(np.float32), int(rng.integers(20))
        x[turn % 4, where] += 20
        row = exact_row(x, w, statistics).astype(np.float32)
        found = made.coordinates({"a": row[None]})
        assert found is not None
        part = given_to_places(x, w, row, found["a"].normal, found["a"].slope[0])
        assert part.argmax() == where
        assert part[where] > 0.5 * part.sum()
