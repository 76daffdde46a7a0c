"""The promise in the user's units, and how far apart images must be."""

import numpy as np
import pytest
from scipy.signal import lfilter

from detector.drift.autocorrelation import Thinning, autocorrelation
from detector.drift.promise import Promise
from detector.errors import InvalidSpecError


def correlated(rho: float, images: int, seed: int = 0) -> np.ndarray:
    """Return scores of which neighbours correlate by rho, and k-th neighbours by rho^k."""
    noise = np.random.default_rng(seed).normal(size=images + 500)
    return np.asarray(lfilter([np.sqrt(1 - rho**2)], [1, -rho], noise)[500:])


def test_thresholds_share_the_promise() -> None:
    """Law: the alarms of all streams, each 1 / c per monitored image, add up to 1 / N."""
    promise = Promise(10_000.0)
    shares = [1 / 2, 1 / 6, 1 / 6, 1 / 18, 1 / 18, 1 / 18]
    for every in (1.0, 2.5, 20.0):
        rates = [10 ** -promise.threshold_log10(every, share) for share in shares]
        assert sum(rates) / every == pytest.approx(1 / 10_000)


def test_a_promise_in_days_is_one_in_images() -> None:
    """Contract: days times images per day; it says what it promises."""
    promise = Promise.per_days(30.0, 2400.0)
    assert promise == Promise(72_000.0)
    assert "one false alarm per 72,000 images on average" in promise.statement


@pytest.mark.parametrize("images", [1.0, 0.0, -5.0, float("inf"), float("nan")])
def test_promises_that_cannot_be_are_refused(images: float) -> None:
    """Contract: more than one image, finite."""
    with pytest.raises(InvalidSpecError, match="more than 1 image"):
        Promise(images)


def test_a_promise_of_fewer_images_than_are_skipped_is_refused() -> None:
    """Contract: it says how many it would take."""
    with pytest.raises(InvalidSpecError, match="more than 20 images per false alarm, got 15"):
        Promise(15.0).threshold_log10(20.0, 0.25)


def test_autocorrelation_is_numpys() -> None:
    """Reference: np.correlate of the centred scores."""
    scores = correlated(0.5, 200)
    centred = scores - scores.mean()
    full = np.correlate(centred, centred, "full")[199:]
    np.testing.assert_allclose(autocorrelation(scores, 20), (full / full[0])[:21], atol=1e-12)


@pytest.mark.parametrize(("rho", "least", "most"), [(0.0, 1, 1), (0.6, 4, 6), (0.9, 15, 30)])
def test_the_lag_is_where_the_correlation_has_gone(rho: float, least: int, most: int) -> None:
    """Law: rho^lag is below 0.1 from ln 0.1 / ln rho on: 1, 4.5 and 21.9."""
    thinning = Thinning.of_scores(correlated(rho, 5000))
    assert least <= thinning.every <= most
    assert thinning.settled


def test_a_correlation_that_does_not_go_is_told() -> None:
    """Contract: where all lags tried are correlated, the longest is taken, and not settled."""
    assert Thinning.of_scores(np.arange(40.0)) == Thinning(10.0, settled=False)
    tooth = Thinning.of_scores(np.tile([0.0, 1.0], 10))
    assert tooth == Thinning(5.0, settled=False)
    assert Thinning.of_scores(np.zeros(0)) == Thinning(settled=False)


def test_equal_scores_have_no_correlation() -> None:
    """Contract: nothing is divided by zero."""
    assert Thinning.of_scores(np.full(20, 3.0)) == Thinning()


def test_one_image_per_group_is_the_first_of_each_run() -> None:
    """Contract: a group that comes back counts again."""
    groups = ["a", "a", "b", "b", "b", "a"]
    thinning = Thinning.of_groups(groups)
    assert thinning == Thinning(2.0, by_group=True)
    assert thinning.kept(6, groups).tolist() == [0, 2, 5]
    assert Thinning(3.0).kept(7).tolist() == [0, 3, 6]


def test_groups_that_are_missing_are_refused() -> None:
    """Contract: by group needs a group of each image."""
    with pytest.raises(InvalidSpecError, match="needs the groups"):
        Thinning.of_groups([])
    with pytest.raises(InvalidSpecError, match="3 images, but 2 groups"):
        Thinning(2.0, by_group=True).kept(3, ["a", "b"])


@pytest.mark.parametrize("every", [0.5, 0.0, 2.5, float("inf"), float("nan")])
def test_thinnings_that_cannot_be_are_refused(every: float) -> None:
    """Contract: a whole number of images from 1 on."""
    with pytest.raises(InvalidSpecError, match="cannot be monitored"):
        Thinning(every)
