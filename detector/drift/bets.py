"""Bets against uniform ranks: several at once, with capital that jumps from losing to winning ones.

With bets f_1..f_k, each of mean 1 (or less) as long as nothing changes, and capital shares w::

    w_j <- (1 - J) w_j + J / k          f = sum_j w_j f_j          w_j <- w_j f_j / f

f, what the whole capital is multiplied by, has mean 1 (or less), too. The shares are kept relative,
so that nothing under- or overflows; ``evidence`` keeps the capital itself, as a logarithm.

The bets on a rank p are f = 1 + e1 sqrt(3) (2p - 1) + e2 sqrt(5) (6p^2 - 6p + 1): the first two
shifted Legendre polynomials, of mean 0 and variance 1. e1 wins when scores move, e2 when their
spread changes, which linear bets hardly see. They are +-0.5 and +-0.4.
Source: Vovk et al., "Retrain or not retrain: conformal test martingales for change-point
detection", arXiv:2102.10439 (the Simple Jumper); Hallberg Szabadváry, "Betting on Moments",
arXiv:2606.20859 (Legendre jumpers). Ours: both orders in one jumper that bets on one at a time, so
that five bets do where a product of both would need more and a normalisation.
"""

from math import sqrt

JUMP = 0.01
"""Share of the capital that is spread evenly again before each bet."""

_MOVE = 0.5 * sqrt(3)
_SPREAD = 0.4 * sqrt(5)


Five = tuple[float, float, float, float, float]


class Jumper:
    """Capital on five bets, written out because it runs for each image and a loop takes longer.

    Attributes:
        capital: on each; only shares of the sum matter, which is what the last bet paid.
    """

    __slots__ = ("capital",)

    def __init__(self, capital: Five = (0.2, 0.2, 0.2, 0.2, 0.2)) -> None:
        self.capital = capital

    def bet(self, factors: Five, jump: float = JUMP) -> float:
        """Return what the capital is multiplied by when each bet pays its factor, all above 0."""
        v, w, x, y, z = self.capital
        a, b, c, d, e = factors
        keep, spread = (1 - jump) / (v + w + x + y + z), jump / 5
        v, w, x, y, z = (
            (keep * v + spread) * a,
            (keep * w + spread) * b,
            (keep * x + spread) * c,
            (keep * y + spread) * d,
            (keep * z + spread) * e,
        )
        self.capital = v, w, x, y, z
        return v + w + x + y + z


def legendre(p: float) -> Five:
    """Return what each bet on a rank pays: none, higher, lower, wider and narrower; 0.1 to 1.9."""
    move = _MOVE * (2 * p - 1)
    spread = 6 * p * (p - 1) + 1
    return 1.0, 1 - move, 1 + move, 1 + _SPREAD * spread, 1 - _SPREAD * spread


def share_bets(rate: float) -> tuple[Five, Five]:
    """Return what bets on an event of chance ``rate`` pay when it happens, and when it does not.

    The bet that it happens r times as often pays r or (1 - r rate) / (1 - rate), with r = 1 (no
    bet), 1/4, 2, 4 and 8; the rate must be below 1/8.
    """
    happens: Five = (1.0, 0.25, 2.0, 4.0, 8.0)
    one, quarter, two, four, eight = ((1 - r * rate) / (1 - rate) for r in happens)
    return happens, (one, quarter, two, four, eight)


def tilts(position: float, slack: float) -> Five:
    """Return what bets pay on a position in [0, 1] whose mean is 1/2 up to ``slack``.

    1 + l (+-(position - 1/2) - slack): mean at most 1. l = 0, or 0.45 or 0.9 times the l at which
    a bet could lose all.
    """
    most = 1 / (0.5 + slack)
    up, down = most * (position - 0.5 - slack), most * (0.5 - position - slack)
    return 1.0, 1 + 0.45 * up, 1 + 0.9 * up, 1 + 0.45 * down, 1 + 0.9 * down
