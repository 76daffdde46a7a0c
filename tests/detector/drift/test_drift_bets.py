"""Bets, capital and evidence: fair, and the same as written out another way."""

from collections.abc import Callable
from math import exp, inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from online_cp.martingale import jumpers
from scipy.integrate import quad
from scipy.special import eval_legendre

from detector.drift.bets import Five, Jumper, legendre, share_bets, tilts
from detector.drift.evidence import Evidence

ROOT_3, ROOT_5 = sqrt(3), sqrt(5)


def written_out(p: float) -> Five:
    """The bets on a rank from SciPy's Legendre polynomials."""
    move = 0.5 * ROOT_3 * float(eval_legendre(1, 2 * p - 1))
    spread = ROOT_5 * float(eval_legendre(2, 2 * p - 1))
    return 1.0, 1 - move, 1 + move, 1 + 0.4 * spread, 1 - 0.4 * spread


@pytest.mark.parametrize("bet", range(5))
def test_bets_on_ranks_are_fair_and_never_lose_all(bet: int) -> None:
    """Law: mean 1 over a uniform rank, above 0 everywhere; they are Legendre polynomials."""
    mean, _ = quad(lambda p: legendre(p)[bet], 0, 1)
    assert mean == pytest.approx(1, abs=1e-12)
    for p in np.linspace(0, 1, 101).tolist():
        assert 0.1 < legendre(p)[bet] < 2.4
        assert legendre(p)[bet] == pytest.approx(written_out(p)[bet], abs=1e-12)


@pytest.mark.parametrize("rate", [0.01, 0.037, 0.1])
def test_bets_on_a_share_are_fair_and_never_lose_all(rate: float) -> None:
    """Law: the mean over an event of this chance is 1."""
    happens, does_not = share_bets(rate)
    for yes, no in zip(happens, does_not, strict=True):
        assert rate * yes + (1 - rate) * no == pytest.approx(1, abs=1e-12)
        assert min(yes, no) > 0


@given(st.floats(0, 2), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_bets_on_a_position_do_not_win_while_its_mean_is_within_the_slack(
    slack: float, positions: list[float]
) -> None:
    """Law: with positions whose mean is half a unit up to the slack, the mean pay is at most 1."""
    pays = np.array([tilts(x, slack) for x in positions])
    assert (pays > 0).all()
    if abs(np.mean(positions) - 0.5) <= slack:
        assert (pays.mean(axis=0) <= 1 + 1e-12).all()


def naive_path(factors: list[Five], jump: float) -> list[float]:
    """Capital of five accounts in plain numbers."""
    accounts, path = np.full(5, 0.2), []
    for pays in factors:
        accounts = ((1 - jump) * accounts + jump * accounts.sum() / 5) * np.array(pays)
        path.append(float(accounts.sum()))
    return path


def shipped_path(factors: list[Five], jump: float = 0.01) -> list[float]:
    """Natural logarithms of the capital as it is kept."""
    jumper, evidence, path = Jumper(), Evidence(), []
    for pays in factors:
        evidence.add(jumper.bet(pays, jump))
        path.append(evidence.ln_m)
    return path


@pytest.mark.parametrize("jump", [0.01, 0.1])
def test_capital_is_that_of_plain_accounts(jump: float) -> None:
    """Reference: five accounts in plain numbers, over ranks that drift."""
    ranks = np.random.default_rng(0).beta(1, 1.4, size=300).tolist()
    factors = [legendre(p) for p in ranks]
    np.testing.assert_allclose(
        np.exp(shipped_path(factors, jump)), naive_path(factors, jump), rtol=1e-10
    )


@pytest.mark.parametrize("drift", [1.0, 1.5])
def test_capital_is_that_of_an_independent_package(drift: float) -> None:
    """Reference: online-cp's Simple Jumper, on its own bets and on ours."""
    ranks = np.random.default_rng(1).beta(1, drift, size=2000).tolist()
    slopes = (-1.0, -0.5, 0.0, 0.5, 1.0)
    bets: list[Callable[[float], Five]] = [
        lambda p: tuple(1 + e * (p - 0.5) for e in slopes),
        legendre,
    ]
    theirs = jumpers.SimpleJumper(J=0.01, E=slopes)
    ours = jumpers.SimpleJumper(J=0.01, E=range(5))
    ours.b_epsilon = lambda p, bet: written_out(p)[bet]
    for package, bet in zip((theirs, ours), bets, strict=True):
        for p in ranks:
            package.update(p)
        path = shipped_path([bet(p) for p in ranks])
        np.testing.assert_allclose(path, package.log_martingale_values[-2000:], atol=1e-9)


@given(st.lists(st.floats(0.05, 20), min_size=1, max_size=60))
def test_evidence_is_the_sum_over_all_beginnings(factors: list[float]) -> None:
    """Reference: R_t = sum over s <= t of the product of the factors from s to t; M_t of all."""
    evidence = Evidence()
    for factor in factors:
        evidence.add(factor)
    products = np.cumprod(factors[::-1])
    assert evidence.ln_r == pytest.approx(log(products.sum()), abs=1e-9)
    assert evidence.log10_since_baseline == pytest.approx(np.log10(products[-1]), abs=1e-9)
    assert evidence.log10 == max(evidence.ln_r / log(10), 0)


def test_evidence_neither_overflows_nor_vanishes() -> None:
    """Law: 10,000 wins of 1.9, then as many losses of 0.1, are finite; R forgets them."""
    evidence = Evidence()
    for _ in range(10_000):
        evidence.add(1.9)
    assert evidence.ln_r == pytest.approx(10_000 * log(1.9), rel=1e-3)
    for _ in range(10_000):
        evidence.add(0.1)
    assert exp(evidence.ln_r) == pytest.approx(1 / 9)
    assert evidence.reached(-1.0)
    assert not evidence.reached(0.0)


def test_evidence_begins_anew_but_for_what_is_since_the_baseline() -> None:
    """Contract: an acknowledged alarm takes R away, not M."""
    evidence = Evidence()
    evidence.add(3.0)
    evidence.restart()
    assert evidence.ln_r == -inf
    assert evidence.log10 == 0
    assert evidence.ln_m == log(3)
