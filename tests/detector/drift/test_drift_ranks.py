"""Online ranks: the textbook formula, then edges, and uniform in both."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from detector.drift.ranks import Ranks
from detector.drift.uniforms import Uniforms

SCORES = st.lists(st.integers(-5, 5).map(float), max_size=40)


@given(SCORES, SCORES, st.integers(0, 100))
def test_ranks_are_those_of_the_formula(
    calibration: list[float], stream: list[float], seed: int
) -> None:
    """Reference: a naive twin that keeps all scores; with many ties, and from no calibration on."""
    ranks, uniforms = Ranks(np.array(calibration, dtype=float)), Uniforms(seed, 0)
    past = list(calibration)
    for number, score in enumerate(stream):
        u = uniforms.at(number)
        above, same = sum(s > score for s in past), sum(s == score for s in past)
        assert ranks.place(score, u) == (above + u * (1 + same)) / (len(past) + 1)
        past.append(score)
    assert ranks.n == len(past)


@pytest.mark.parametrize("limit", [2, 3, 4, 99])
@pytest.mark.parametrize("calibration", [0, 1, 4])
def test_each_rank_is_uniform_given_any_order_of_the_past(limit: int, calibration: int) -> None:
    """Law: over the six places of a sixth score, ranks have the moments of a uniform number.

    Exactly, for each of the 120 orders of the five before it, kept one by one or counted at edges.
    """
    nodes, weights = np.polynomial.legendre.leggauss(4)
    for order in itertools.permutations(range(5)):
        past = np.array(order, dtype=float)
        moments = np.zeros(4)
        for place, (u, weight) in itertools.product(range(6), zip(nodes, weights, strict=True)):
            ranks = Ranks(past[:calibration], limit)
            for score in past[calibration:].tolist():
                ranks.place(score, 0.5)
            p = ranks.place(place - 0.5, (u + 1) / 2)
            moments += weight / 2 / 6 * p ** np.arange(1, 5)
        np.testing.assert_allclose(moments, 1 / np.arange(2, 6), rtol=1e-12)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("step", [0.0, 0.25])
def test_a_long_stream_has_uniform_and_independent_ranks(step: float) -> None:
    """Law: ranks of 20,000 skewed scores, of which a tenth are edges; rounded ones, which tie."""
    rng = np.random.default_rng(0)
    scores = rng.gamma(4, size=20_000)
    scores = np.round(scores / step) * step if step else scores
    ranks, uniforms = Ranks(scores[:300]), Uniforms(1, 0)
    p = np.array([ranks.place(s, uniforms.at(i)) for i, s in enumerate(scores[300:].tolist())])

    assert kstest(p, "uniform").pvalue > 0.01
    assert kstest(p[:2000], "uniform").pvalue > 0.01
    for lag in (1, 2, 10):
        assert abs(np.corrcoef(p[:-lag], p[lag:])[0, 1]) < 3 / np.sqrt(len(p))
    assert ranks.n == 20_000
    assert len(ranks.to_arrays()["edges"]) <= 2048


@pytest.mark.parametrize("limit", [8, 1000])
def test_ranks_go_on_where_they_were_saved(limit: int) -> None:
    """Law: restart = same state, before and after scores are counted at edges."""
    stream = np.random.default_rng(0).normal(size=60).tolist()
    ranks = Ranks(np.array(stream[:5]), limit)
    for score in stream[5:30]:
        ranks.place(score, 0.3)

    again = Ranks.from_arrays(ranks.to_arrays(), limit)

    assert again.n == ranks.n
    assert [again.place(s, 0.7) for s in stream] == [ranks.place(s, 0.7) for s in stream]


def test_uniform_numbers_are_those_of_splitmix64() -> None:
    """Reference: the published first outputs for the state 1234567, as 53 bits.

    And no number is shared by neighbouring images, streams or seeds.
    """
    uniforms = Uniforms(0, 0)
    uniforms._key = 1234567
    published = (6457827717110365317, 3203168211198807973, 9817491932198370423)

    assert [uniforms.at(i) for i in range(3)] == [(each >> 11) * 2.0**-53 for each in published]
    made = {Uniforms(seed, s).at(i) for seed in (0, 1, -7) for s in range(3) for i in range(500)}
    assert len(made) == 4500
    assert kstest(sorted(made), "uniform").pvalue > 0.01


def test_uniform_numbers_do_not_depend_on_what_was_asked_before() -> None:
    """Law: the number of an image is the same in any order."""
    forward = [Uniforms(5, 2).at(i) for i in range(300)]
    one = Uniforms(5, 2)
    assert [one.at(i) for i in reversed(range(300))] == forward[::-1]
