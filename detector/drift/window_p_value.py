"""One p-value for four statistics of a window, exact in finite samples, of random splits.

If window and calibration are exchangeable, the true split is like any other. Of B random splits
and the true one, number 0, each statistic T_j gets its p-value, and the least of a split's is
compared::

    p_bj = #{b' : T_b'j >= T_bj} / (B + 1)        p = #{b : min_j p_bj <= min_j p_0j} / (B + 1)

Equal minima are told apart by the mean of the four p_bj, which is as fair. P(p <= a) <= a for every
a, every B, whatever the distribution, the width and the dependence of the statistics.

Most windows are unremarkable, so B grows in stages, B_1 = 199 and ten times as many in each of the
next, and stops at the first stage whose p_i exceeds t_i = 20 / (B_i + 1). Stopped at stage i, the
answer is min(p_i, t_(i-1)). It is as exact: for a in [t_i, t_(i-1)), an answer <= a requires
p_i <= a, because stages before i answer more than t_(i-1) > a, and those after i follow on
p_i <= t_i <= a. Besag and Clifford's rule would not do here: a minimum is ranked among all splits,
so splits that come later change which of the earlier ones exceed it.

Source: Westfall & Young, "Resampling-based multiple testing" (1993), 2.3 (minimum p within the same
permutations); Phipson & Smyth, "Permutation p-values should never be zero", SAGMB 9 (2010), for +1.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from jaxtyping import Float

from detector.drift.window_statistics import STATISTICS, Pool
from detector.errors import InvalidSpecError

LEAST_LEVEL = 1e-5
"""Below it, the splits of a window that has drifted would take minutes."""

_FIRST, _GROWTH, _LEAST, _PER_LEVEL, _GO_ON = 199, 10, 999, 5, 20
_AT_ONCE = 256
"""Splits computed together: some MB."""


@dataclass(frozen=True)
class PValue:
    """What splits say of a window.

    Attributes:
        p: the p-value, all statistics together.
        splits: how many random ones it took.
        each: the p-value of each statistic on its own.
    """

    p: float
    splits: int
    each: Mapping[str, float]

    @property
    def clearest(self) -> str:
        """The statistic that is least likely by chance."""
        return min(self.each, key=lambda name: self.each[name])


def splits_for(level: float) -> int:
    """Return B: splits enough for p to fall clearly below a level, 999 at least.

    Raises:
        InvalidSpecError: if the level is not from 0.00001 to below 1.
    """
    if not LEAST_LEVEL <= level < 1:
        raise InvalidSpecError(
            f"the level of a window must be from {LEAST_LEVEL:g} to below 1, got {level:g}: "
            f"take larger windows, or allow more false alarms"
        )
    return max(_LEAST, ceil(_PER_LEVEL / level) - 1)


def p_value(pool: Pool, level: float, rng: np.random.Generator) -> PValue:
    """Return the p-value of the pool's window, with splits enough for a level.

    Raises:
        InvalidSpecError: if the level is not from 0.00001 to below 1.
    """
    found, bound = pool.statistics(pool.observed()), 1.0
    for splits in _stages(splits_for(level)):
        found = np.concatenate([found, _more(pool, rng, splits + 1 - len(found))])
        each = shares(found)
        p = least(each)
        answer, bound = min(p, bound), _GO_ON / (splits + 1)
        if p > bound:
            break
    return PValue(answer, splits, dict(zip(STATISTICS, each[0].tolist(), strict=True)))


def shares(found: Float[np.ndarray, "b s"]) -> Float[np.ndarray, "b s"]:
    """Return p_bj: of every split and statistic, the share of splits with as much or more."""
    count = len(found)
    return np.stack(
        [(count - np.sort(column).searchsorted(column)) / count for column in found.T], axis=1
    )


def least(each: Float[np.ndarray, "b s"]) -> float:
    """Return the share of splits whose least p_bj is as small as the first one's or smaller."""
    count = len(each)
    keys = np.rint(each.min(axis=1) * count) + each.mean(axis=1).round(12) / 2
    return float(np.mean(keys <= keys[0]))


def _stages(splits: int) -> Iterator[int]:
    stage = _FIRST
    while stage < splits:
        yield stage
        stage = (stage + 1) * _GROWTH - 1
    yield splits


def _more(pool: Pool, rng: np.random.Generator, count: int) -> np.ndarray:
    parts = [min(_AT_ONCE, count - start) for start in range(0, count, _AT_ONCE)]
    return np.concatenate([pool.statistics(pool.drawn(rng, part)) for part in parts])
