"""Evidence of a change: what has been won by betting against no change.

With f_t what a bet at time t pays, of mean at most 1 given the past while nothing changes::

    M_t = f_t M_(t-1), M_0 = 1            R_t = f_t (1 + R_(t-1)), R_0 = 0

M is Ville's martingale: P(M ever >= 1/a) <= a. It is what was won since the baseline, and after a
long calm it may have too far to climb. R, the Shiryaev-Roberts sum, bets one unit afresh at every
image and so remembers no calm. R_t - t has mean at most 0, therefore, for any threshold c:

- P(R >= c by time t) <= t / c, and the mean time until R >= c is at least c;
- if R begins anew after each alarm, the number A_t of alarms has mean at most t / c, because
  R_t + c A_t - t has a mean of at most 0. This adds up over monitors, however they depend.

Source: Vovk, "Testing randomness", arXiv:1906.09256 (conformal Shiryaev-Roberts procedure); Shin,
Ramdas & Rinaldo, "E-detectors", arXiv:2203.03532 (average run length). The count of alarms is the
same argument with restarts. Kept as natural logarithms, so that nothing overflows.
"""

from math import exp, inf, log, log1p

_LN_10 = log(10)


class Evidence:
    """M and R of one stream.

    Attributes:
        ln_m: natural logarithm of M, since the baseline.
        ln_r: natural logarithm of R, since the baseline or the last acknowledged alarm.
    """

    __slots__ = ("ln_m", "ln_r")

    def __init__(self, ln_m: float = 0.0, ln_r: float = -inf) -> None:
        self.ln_m = ln_m
        self.ln_r = ln_r

    def add(self, factor: float) -> None:
        """Take in the factor of a bet, above 0."""
        won = log(factor)
        self.ln_m += won
        # ln(1 + R), from the side that cannot overflow
        older = self.ln_r + log1p(exp(-self.ln_r)) if self.ln_r > 0 else log1p(exp(self.ln_r))
        self.ln_r = won + older

    def reached(self, threshold_log10: float) -> bool:
        """Return whether R is at least the threshold."""
        return self.ln_r >= threshold_log10 * _LN_10

    def restart(self) -> None:
        """Forget R, as after an acknowledged alarm; M is since the baseline."""
        self.ln_r = -inf

    @property
    def log10(self) -> float:
        """log10 R, at least 0: less is no evidence."""
        return max(self.ln_r / _LN_10, 0.0)

    @property
    def log10_since_baseline(self) -> float:
        """log10 M."""
        return self.ln_m / _LN_10
