"""How far apart images must be to count as new: neighbours in time are alike, and alarms too many.

The promise assumes exchangeable images. With s_1..s_n the calibration scores in order of time::

    r(k) = sum_t (s_t - m)(s_(t+k) - m) / sum_t (s_t - m)^2            lag = least k: |r(k)| < 0.1

and one image in ``lag`` is monitored, or the first of each group (lot, session) in a row. What is
left of the correlation is below 0.1, not 0: a promise then holds nearly, and measurably.

Scores that were not kept in order of time look independent. With few of them, r is known only to
+-2 / sqrt(n): a lag above 1 may be chance and costs delay; a lag of 1 is then no proof, either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from detector.errors import InvalidSpecError

SMALL = 0.1


@dataclass(frozen=True)
class Thinning:
    """Which images are monitored.

    Attributes:
        every: images per monitored image; a whole number unless by group.
        by_group: whether it is the first image of each group in a row.
        settled: whether the correlation fell below 0.1 at the lag; else more images are needed.

    Raises:
        InvalidSpecError: if ``every`` is not a number from 1 on, whole unless by group.
    """

    every: float = 1.0
    by_group: bool = False
    settled: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.every < float("inf") or (self.every % 1 and not self.by_group):
            raise InvalidSpecError(f"one image in {self.every} cannot be monitored")

    @classmethod
    def of_scores(cls, scores: Float[np.ndarray, " n"]) -> "Thinning":
        """Return the thinning by lag for scores in order of time.

        Lags up to a quarter of the scores are tried; if none will do, the longest is taken.
        """
        longest = max(len(scores) // 4, 1)
        found = np.flatnonzero(np.abs(autocorrelation(scores, longest)[1:]) < SMALL)
        lag = int(found[0]) + 1 if len(found) else longest
        return cls(float(lag), settled=bool(len(found)))

    @classmethod
    def of_groups(cls, groups: Sequence[str]) -> "Thinning":
        """Return the thinning to one image per group, for groups in order of time.

        Raises:
            InvalidSpecError: if there are none.
        """
        if not groups:
            raise InvalidSpecError("one image per group needs the groups of calibration images")
        return cls(len(groups) / len(_first_of_each(groups)), by_group=True)

    def kept(self, count: int, groups: Sequence[str] = ()) -> Int[np.ndarray, " k"]:
        """Return which of ``count`` images in order of time are kept, counted from 0.

        Raises:
            InvalidSpecError: if by group and there is not a group for each.
        """
        if not self.by_group:
            return np.arange(0, count, int(self.every))
        if len(groups) != count:
            raise InvalidSpecError(f"there are {count} images, but {len(groups)} groups")
        return _first_of_each(groups)


def autocorrelation(scores: Float[np.ndarray, " n"], longest: int) -> Float[np.ndarray, " lags"]:
    """Return r(0)..r(longest) of scores in order of time; 0 from lag 1 on if all are equal."""
    centred = scores - scores.mean() if len(scores) else scores
    longest = min(longest, max(len(scores) - 1, 0))
    found: Float[np.ndarray, " lags"] = np.array(
        [centred[: len(centred) - k] @ centred[k:] for k in range(longest + 1)]
    )
    alone = np.zeros(longest + 1)
    alone[0] = 1
    return found / found[0] if found[0] > 0 else alone


def _first_of_each(groups: Sequence[str]) -> Int[np.ndarray, " k"]:
    """Return where a group differs from the one before."""
    places = [i for i, group in enumerate(groups) if i == 0 or group != groups[i - 1]]
    return np.array(places, dtype=np.intp)
