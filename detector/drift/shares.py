"""How the monitors of a detector divide the promise of one false alarm per N images.

With W the sum of the shares of all that are there, each has w / W of it::

    c = N W / (every w)              the threshold of a stream (``promise``)
    level = n every w / (N W)        of a window of n monitored images

so that each has at most t w / (N W) alarms on average within t images, and all together t / N.

A window test may join streams later. Their thresholds c grow to c' at that time T, and what they
have collected counts on. R_t + c A_t - t has a mean of at most 0 at T (``evidence``), so that the
mean number of a stream's alarms until t is at most T / c + (t - T) / c': the promise holds
throughout.
"""

from collections.abc import Iterable

from detector.drift.baseline import INPUTS

WINDOW = "window"
SHARES = {"bulk": 4.0, "rate": 1.0, "frozen": 1.0} | dict.fromkeys(INPUTS, 1 / 3) | {WINDOW: 1.0}
"""Of the promise, to one another: most for the one that sees most."""
MONITORS = (
    {"bulk": "bulk", "rate": "rate", "frozen": "frozen"}
    | dict.fromkeys(INPUTS, "input")
    | {WINDOW: WINDOW}
)
"""The monitor of each stream, and of windows."""


def whole(streams: Iterable[str], *, windows: bool) -> float:
    """Return W of these streams, with or without a window test."""
    return sum(SHARES[name] for name in streams) + SHARES[WINDOW] * windows
