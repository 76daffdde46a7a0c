"""Intervals of the AUROC, pixel AUROC and PRO against naive twins and scikit-learn."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from skimage.measure import label
from sklearn.metrics import roc_auc_score

from detector.metrics import PixelRanking, auroc, auroc_interval

Maps = NDArray[np.float64]
Masks = NDArray[np.bool_]


def labelled(seed: int, levels: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    anomalous = rng.random(40) < 0.4
    return np.round(rng.normal(size=40) + anomalous, levels), anomalous


def scenes(seed: int, levels: int) -> tuple[Maps, Masks]:
    """Maps of four images, two with patches and stray pixels as defects, one with a diagonal."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((4, 20, 24), dtype=np.bool_)
    masks[0, 2:6, 3:9] = masks[0, 12:14, 15:20] = masks[1, 8:18, 10:12] = True
    masks[1, 0, 0] = masks[1, 1, 1] = True
    return np.round(rng.normal(size=masks.shape) + masks, levels), masks


def ranked(maps: Maps, masks: Masks) -> PixelRanking:
    ranking = PixelRanking(maps)
    for anomaly, mask in zip(maps, masks, strict=True):
        ranking.add(anomaly, mask)
    return ranking


def naive_pro(maps: Maps, masks: Masks, limit: float) -> float:
    """PRO by its definition: every threshold, every region."""
    regions = [
        anomaly[label(mask, connectivity=2) == index]
        for anomaly, mask in zip(maps, masks, strict=True)
        for index in range(1, label(mask, connectivity=2).max() + 1)
    ]
    rates, overlaps = [0.0], [0.0]
    for threshold in sorted(np.unique(maps), reverse=True):
        rates.append(float(np.mean(maps[~masks] >= threshold)))
        overlaps.append(float(np.mean([np.mean(region >= threshold) for region in regions])))
    area = 0.0
    for (x0, y0), (x1, y1) in zip(
        zip(rates, overlaps, strict=True),
        list(zip(rates, overlaps, strict=True))[1:],
        strict=False,
    ):
        if x1 > limit:
            if x0 < limit:
                y1 = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
                area += (limit - x0) * (y0 + y1) / 2
            break
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


@given(st.integers(0, 50), st.integers(0, 2))
def test_interval_equals_delongs_placements(seed: int, levels: int) -> None:
    """Reference: DeLong's variance from all pairs, a tie counting half."""
    scores, anomalous = labelled(seed, levels)
    difference = scores[anomalous][:, None] - scores[~anomalous][None, :]
    wins = (difference > 0) + (difference == 0) / 2
    variance = (
        wins.mean(axis=1).var(ddof=1) / wins.shape[0]
        + wins.mean(axis=0).var(ddof=1) / wins.shape[1]
    )
    half = norm.ppf(0.975) * math.sqrt(variance)

    low, high = auroc_interval(scores, anomalous)

    assert low == pytest.approx(max(wins.mean() - half, 0), abs=1e-12)
    assert high == pytest.approx(min(wins.mean() + half, 1), abs=1e-12)


def test_interval_holds_the_auroc_and_grows_with_confidence() -> None:
    """Law: a higher confidence contains a lower one, and the estimate lies in both."""
    scores, anomalous = labelled(3, 3)
    low, high = auroc_interval(scores, anomalous)
    wide_low, wide_high = auroc_interval(scores, anomalous, 0.99)

    assert wide_low < low < auroc(scores, anomalous) < high < wide_high


def test_interval_covers_the_true_value() -> None:
    """Law: about 95 of 100 intervals hold P(s_anomalous > s_normal) of two known normals."""
    truth = norm.cdf(1 / math.sqrt(2))
    rng = np.random.default_rng(0)
    anomalous = np.arange(200) < 80
    bounds = [auroc_interval(rng.normal(size=200) + anomalous, anomalous) for _ in range(400)]

    assert 0.92 <= np.mean([low <= truth <= high for low, high in bounds]) <= 0.98


def test_interval_of_separated_or_missing_classes() -> None:
    """Contract: (1, 1) where no pair is out of order; nan where a class has one image."""
    assert auroc_interval(np.arange(6.0), np.arange(6) > 2) == (1.0, 1.0)
    assert all(map(math.isnan, auroc_interval(np.arange(6.0), np.arange(6) > 4)))


@pytest.mark.parametrize("seed", range(4))
def test_pixels_of_few_values_are_ranked_exactly(seed: int) -> None:
    """Reference: scikit-learn's AUROC and the naive PRO; each value has a bin of its own."""
    maps, masks = scenes(seed, 1)
    ranking = ranked(maps, masks)

    assert ranking.auroc() == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)
    for limit in (0.05, 0.3, 1.0):
        assert ranking.pro(limit) == pytest.approx(naive_pro(maps, masks, limit), abs=1e-12)


def test_pixels_in_bins_come_close() -> None:
    """Reference: with more values than bins the error stays below half a bin's share."""
    rng = np.random.default_rng(1)
    masks = np.zeros((6, 80, 80), dtype=np.bool_)
    masks[:3, 20:40, 30:50] = True
    maps = rng.normal(size=masks.shape) + masks
    ranking = ranked(maps, masks)

    assert ranking.auroc() == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-4)
    assert ranking.pro() == pytest.approx(naive_pro(maps, masks, 0.3), abs=1e-3)


def test_touching_corners_are_one_region() -> None:
    """Contract: eight neighbours; two pixels of a diagonal count once, not twice."""
    masks = np.zeros((1, 4, 4), dtype=np.bool_)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[0, 3, 3] = True
    maps = np.zeros((1, 4, 4))
    maps[0, 3, 3] = 1.0  # finds one region of two

    # from (0, 1/2) straight to (1, 1): the other region ties with all that is normal
    assert ranked(maps, masks).pro() == pytest.approx(0.5 + 0.5 * 0.3 / 2)


def test_order_of_images_and_growth_of_scores_change_nothing() -> None:
    """Law: the ranking is of the multiset of pixels, and of their order alone."""
    maps, masks = scenes(5, 1)
    once, again = ranked(maps, masks), ranked(np.exp(maps[::-1]), masks[::-1])

    assert again.auroc() == pytest.approx(once.auroc(), abs=1e-12)
    assert again.pro() == pytest.approx(once.pro(), abs=1e-12)


def test_pixels_best_and_missing() -> None:
    """Contract: 1 for a perfect map, nan without a mask or without a normal pixel."""
    _, masks = scenes(0, 1)
    perfect = ranked(masks.astype(float), masks)
    assert (perfect.auroc(), perfect.pro()) == pytest.approx((1.0, 1.0))
    for mask in (np.zeros_like(masks), np.ones_like(masks)):
        nothing = ranked(mask.astype(float), mask)
        assert math.isnan(nothing.auroc())
        assert math.isnan(nothing.pro())
