"""Quality of a ranking: how well scores separate anomalous images, or pixels, from normal ones."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import label
from scipy.stats import norm, rankdata

PRO_LIMIT = 0.3
"""False-positive rate up to which PRO is integrated, as customary."""
_BINS = 10_000
_EIGHT_NEIGHBOURS = np.ones((3, 3))


def auroc(scores: Float[np.ndarray, " n"], anomalous: Bool[np.ndarray, " n"]) -> float:
    """Return P(s_anomalous > s_normal) + P(tie) / 2; nan if one class is absent.

    Mann-Whitney form: with R the rank sum of the p anomalous scores among all p + q,
    ``(R - p (p + 1) / 2) / (p q)``. Source: Hanley & McNeil, Radiology 143:29-36 (1982).
    """
    positives = int(anomalous.sum())
    negatives = len(anomalous) - positives
    if not positives or not negatives:
        return float("nan")
    rank_sum = float(rankdata(scores)[anomalous].sum())
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives)


def auroc_interval(
    scores: Float[np.ndarray, " n"], anomalous: Bool[np.ndarray, " n"], confidence: float = 0.95
) -> tuple[float, float]:
    """Return DeLong's confidence interval of the AUROC over the draw of the images, within [0, 1].

    With V_i the share of normal images that anomalous image i outranks, W_j the share of anomalous
    images that outrank normal image j (ties half), and S the sample variances::

        var(AUROC) = S(V) / p + S(W) / q            AUROC -+ z sqrt(var)

    The normal approximation is rough for few images, and empty where the classes are separated: an
    AUROC of 1 gets (1, 1). nan if a class has fewer than two images.
    Source: DeLong, DeLong & Clarke-Pearson, Biometrics 44:837-845 (1988); V and W from ranks as in
    Sun & Xu, IEEE Signal Processing Letters 21:1389-1393 (2014).
    """
    positives = int(anomalous.sum())
    negatives = len(anomalous) - positives
    if positives < 2 or negatives < 2:
        return float("nan"), float("nan")
    ranks = rankdata(scores)
    outranks = (ranks[anomalous] - rankdata(scores[anomalous])) / negatives
    outranked = 1 - (ranks[~anomalous] - rankdata(scores[~anomalous])) / positives
    variance = outranks.var(ddof=1) / positives + outranked.var(ddof=1) / negatives
    half_width = norm.ppf((1 + confidence) / 2) * np.sqrt(variance)
    centre = outranks.mean()
    return float(max(centre - half_width, 0)), float(min(centre + half_width, 1))


@dataclass(slots=True)
class PixelRanking:
    """Pixel AUROC and PRO from maps that come one at a time, in memory that does not grow.

    Pixels are counted in up to 10,000 bins between the quantiles of ``values``, a sample of the
    maps' values such as all their coarse cells. Within a bin all pixels tie, which moves the AUROC
    by at most half the share of normal pixels in the fullest bin.

    PRO: at a threshold, the share of a connected region (8 neighbours) of a mask that lies above
    it, averaged over the regions of all masks; integrated over the false-positive rate among all
    pixels outside the masks from 0 to 0.3, and divided by 0.3.
    Source: Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 129:1038-1059 (2021).
    """

    values: Float[np.ndarray, "*any"]
    _edges: Float[np.ndarray, " b"] = field(init=False)
    _normal: Float[np.ndarray, " bins"] = field(init=False)
    _anomalous: Float[np.ndarray, " bins"] = field(init=False)
    _overlap: Float[np.ndarray, " bins"] = field(init=False)
    _regions: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._edges = np.unique(np.quantile(self.values, np.linspace(0, 1, _BINS - 1)))
        self._normal, self._anomalous, self._overlap = np.zeros((3, len(self._edges) + 1))

    def add(self, anomaly: Float[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"]) -> None:
        """Count the pixels of an image; its mask is true on the defect."""
        bins = np.searchsorted(self._edges, anomaly, side="right")
        size = len(self._normal)
        self._normal += np.bincount(bins[~mask], minlength=size)
        self._anomalous += np.bincount(bins[mask], minlength=size)
        regions, count = label(mask, _EIGHT_NEIGHBOURS)
        share = 1 / np.bincount(regions.ravel())[regions[mask]]  # of a pixel in its region
        self._overlap += np.bincount(bins[mask], weights=share, minlength=size)
        self._regions += count

    def auroc(self) -> float:
        """Return the AUROC over all pixels; nan if there are none of a class."""
        positives, negatives = self._anomalous.sum(), self._normal.sum()
        if not positives or not negatives:
            return float("nan")
        below = np.cumsum(self._normal) - self._normal / 2
        return float((self._anomalous * below).sum() / (positives * negatives))

    def pro(self, limit: float = PRO_LIMIT) -> float:
        """Return the normalised area under the PRO curve; nan if there are no pixels of a class."""
        negatives = self._normal.sum()
        if not self._regions or not negatives:
            return float("nan")
        rate = np.concatenate([[0], np.cumsum(self._normal[::-1]) / negatives])
        overlap = np.concatenate([[0], np.cumsum(self._overlap[::-1]) / self._regions])
        within = rate <= limit
        rates = np.append(rate[within], limit)
        overlaps = np.append(overlap[within], np.interp(limit, rate, overlap))
        return float(np.trapezoid(overlaps, rates) / limit)
