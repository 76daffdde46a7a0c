"""What is watched: streams of numbers, each with its bets and its evidence.

- ``bulk``: scores of images that are not flagged, ranked among all such since the baseline;
- ``rate``: whether a score is among the highest, ranked among all since the baseline;
- ``frozen``: where a score that is not flagged lies among the calibration scores alone;
- ``input``: brightness, contrast and sharpness, three streams ranked like ``bulk``.

Defects are not drift: ``bulk`` and ``frozen`` see only scores up to the detector's line, which was
set with the baseline. Given that they are not above it, normal scores are exchangeable as before,
so any share of defects above the line leaves the promise of these two as it is; it is what ``rate``
is for. (Cutting off the ranks below a level, (p - a) / (1 - a), leaves it so only while at most a
share a of all scores are defects.) ``rate`` bets on {p <= a} with a the calibration's share above
the line, at least 1 % and at most 10 %: by ranks, its chance is a exactly.

``bulk`` takes images of a new world in among those it compares with, so that a slow drift hides
itself; ``frozen`` does not. The price: its reference is known only up to the Dvoretzky-Kiefer-
Wolfowitz bound. With F_m the distribution function of the m calibration scores, half way up where
scores tie, x = F_m(s) has a mean within e = sqrt(ln(2 / d) / 2m) of 1/2 with probability 1 - d over
the calibration, and bets of mean at most 1 allow for e (``bets.tilts``). With probability d = 0.01
over the draw of the calibration, then, its part of the promise is not kept. Changes that move x by
less than e, or only its spread, it cannot see.
Source: Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Annals of
Probability 18:1269-1283 (1990); the idea of a robust fixed reference: Shaer et al., "Testing for
distribution shifts with conditional conformal test martingales", arXiv:2602.13848.
"""

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from math import log, sqrt

import numpy as np
from jaxtyping import Float

from detector.drift.bets import Five, Jumper, legendre, share_bets, tilts
from detector.drift.evidence import Evidence
from detector.drift.ranks import Ranks

MISSED = 0.01
"""Chance, over the draw of the calibration, that ``frozen`` knows its reference worse than e."""

LEAST_RATE, HIGHEST_RATE = 0.01, 0.1


class Stream(ABC):
    """Numbers that are watched.

    Attributes:
        evidence: what bets on them have won.
    """

    __slots__ = ("evidence", "jumper")

    def __init__(self) -> None:
        self.evidence = Evidence()
        self.jumper = Jumper()

    def see(self, value: float, u: float) -> None:
        """Bet on a finite number; u is uniform on [0, 1) and independent of everything."""
        self.evidence.add(self.jumper.bet(self.factors(value, u)))

    @abstractmethod
    def factors(self, value: float, u: float) -> Five:
        """Return what each bet pays; the number joins what later ones are compared with."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what a restart needs."""
        won = np.array([self.evidence.ln_m, self.evidence.ln_r])
        return {"evidence": won, "bets": np.array(self.jumper.capital)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take on what ``to_arrays`` returned."""
        self.evidence = Evidence(*arrays["evidence"].tolist())
        self.jumper = Jumper(tuple(arrays["bets"].tolist()))


class Ranked(Stream):
    """Numbers ranked among all since the baseline: sees them move and their spread change."""

    __slots__ = ("ranks",)

    def __init__(self, calibration: Float[np.ndarray, " m"]) -> None:
        super().__init__()
        self.ranks = Ranks(calibration)

    def factors(self, value: float, u: float) -> Five:
        """Return what the bets on the rank pay."""
        return legendre(self.ranks.place(value, u))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what a restart needs."""
        return {**super().to_arrays(), **self.ranks.to_arrays()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take on what ``to_arrays`` returned."""
        super().restore(arrays)
        self.ranks = Ranks.from_arrays(arrays)


class Rate(Stream):
    """The share of numbers as high as the highest of the calibration.

    Attributes:
        rate: a, that share.
    """

    __slots__ = ("_pays", "ranks", "rate")

    def __init__(self, calibration: Float[np.ndarray, " m"], line: float) -> None:
        super().__init__()
        share = (1 + float(np.sum(calibration > line))) / (len(calibration) + 1)
        self.rate = min(max(share, LEAST_RATE), HIGHEST_RATE)
        self.ranks = Ranks(calibration)
        self._pays = share_bets(self.rate)

    def factors(self, value: float, u: float) -> Five:
        """Return what the bets on whether the number is that high pay."""
        happens, does_not = self._pays
        return happens if self.ranks.place(value, u) <= self.rate else does_not

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what a restart needs."""
        return {**super().to_arrays(), **self.ranks.to_arrays(), "rate": np.array([self.rate])}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take on what ``to_arrays`` returned."""
        super().restore(arrays)
        self.ranks = Ranks.from_arrays(arrays)
        self.rate = arrays["rate"].item()
        self._pays = share_bets(self.rate)


class Frozen(Stream):
    """Where numbers lie among those of the calibration, which nothing joins.

    Attributes:
        slack: e, how far the mean position may be from 1/2 for want of calibration images.
    """

    __slots__ = ("_reference", "slack")

    def __init__(self, calibration: Float[np.ndarray, " m"]) -> None:
        """Take at least one calibration number."""
        super().__init__()
        self._take(np.sort(calibration))

    def factors(self, value: float, u: float) -> Five:
        """Return what the bets on the position pay."""
        reference = self._reference
        low = bisect_left(reference, value)
        middle = (low + bisect_right(reference, value, low)) / 2
        return tilts(middle / len(reference), self.slack)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return what a restart needs."""
        return {**super().to_arrays(), "reference": np.array(self._reference)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take on what ``to_arrays`` returned."""
        super().restore(arrays)
        self._take(arrays["reference"])

    def _take(self, ascending: Float[np.ndarray, " m"]) -> None:
        self._reference = array("d", ascending.astype(np.float64).tobytes())
        self.slack = sqrt(log(2 / MISSED) / (2 * len(ascending)))
