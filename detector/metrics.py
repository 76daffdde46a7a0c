"""Quality of a ranking: how well scores separate anomalous images from normal ones."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import rankdata


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
