"""What the share of a window test costs the streams in time until a change is seen."""

import pytest
from drift_helpers import line_of, skewed

from detector.drift.autocorrelation import Thinning
from detector.drift.baseline import INPUTS, Baseline
from detector.drift.power import Change, Power, simulated
from detector.drift.promise import Promise
from detector.drift.shares import SHARES, WINDOW, whole

STREAMS = ("bulk", "rate", "frozen")


def report(images: float, *, windows: bool) -> Power:
    """Return how soon a shift is seen with skewed scores under a promise."""
    scores = skewed(0, 200)
    return simulated(
        Baseline(scores, line_of(scores)),
        Promise(images),
        Thinning(),
        Change(1.5),
        repeats=5,
        before=50,
        horizon=300,
        windows=windows,
    )


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("images", [50.0, 1000.0, 1e6])
def test_a_share_of_windows_is_a_longer_promise_of_streams(images: float) -> None:
    """Law: streams that leave a share alarm as those alone under a promise longer by the ratio."""
    alone, together = (whole(STREAMS, windows=windows) for windows in (False, True))
    assert together == alone + SHARES[WINDOW]
    longer = report(images * together / alone, windows=False)
    assert report(images, windows=True) == longer
    assert report(images * 1e6, windows=True) != longer


def test_every_stream_has_a_share() -> None:
    """Contract: those of the inputs, too; a stream without one could not be watched."""
    assert {*STREAMS, *INPUTS, WINDOW} == set(SHARES)
