"""AUROC: scikit-learn's, with ties."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from detector.metrics import auroc

LABELLED = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60)


def unzip(pairs: list[tuple[int, bool]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return scores, of few values and so with many ties, and labels."""
    return (
        np.array([score / 4 for score, _ in pairs]),
        np.array([label for _, label in pairs], dtype=np.bool_),
    )


@given(LABELLED)
def test_auroc_equals_scikit_learn(pairs: list[tuple[int, bool]]) -> None:
    """Reference: sklearn.metrics.roc_auc_score, mostly on ties."""
    scores, anomalous = unzip(pairs)
    assume(anomalous.any() and not anomalous.all())

    assert auroc(scores, anomalous) == pytest.approx(roc_auc_score(anomalous, scores), abs=1e-12)


@given(LABELLED)
def test_auroc_is_the_chance_of_the_right_order(pairs: list[tuple[int, bool]]) -> None:
    """Reference: a naive twin over all pairs; a tie counts half."""
    scores, anomalous = unzip(pairs)
    assume(anomalous.any() and not anomalous.all())
    difference = scores[anomalous][:, None] - scores[~anomalous][None, :]

    expected = float(np.mean((difference > 0) + (difference == 0) / 2))

    assert auroc(scores, anomalous) == pytest.approx(expected, abs=1e-12)


@given(LABELLED)
def test_turning_the_labels_turns_the_auroc(pairs: list[tuple[int, bool]]) -> None:
    """Law: auroc(s, not a) = 1 - auroc(s, a), and only the order of the scores matters."""
    scores, anomalous = unzip(pairs)
    assume(anomalous.any() and not anomalous.all())

    area = auroc(scores, anomalous)

    assert auroc(scores, ~anomalous) == pytest.approx(1 - area, abs=1e-12)
    assert auroc(np.exp(scores), anomalous) == area


def test_higher_is_more_anomalous() -> None:
    """Contract: 1 where every anomaly scores above every normal image, 0 the other way round."""
    labels = np.array([False, False, True])

    assert auroc(np.array([1.0, 2.0, 3.0]), labels) == 1.0
    assert auroc(np.array([2.0, 3.0, 1.0]), labels) == 0.0


@pytest.mark.parametrize("labels", [[], [True], [False, False], [True, True, True]])
def test_a_missing_class_gives_nan(labels: list[bool]) -> None:
    """Contract: no ranking, no number."""
    assert math.isnan(auroc(np.arange(len(labels), dtype=float), np.array(labels, dtype=np.bool_)))
