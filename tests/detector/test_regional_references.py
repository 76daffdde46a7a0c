"""Regional, fusion and KL scorers against SciPy, scikit-learn and their docstrings' formulas."""

from math import isqrt

import numpy as np
import pytest
from embedding_helpers import changed, fitted_to, select, synthetic
from scipy.spatial.distance import mahalanobis
from scorer_helpers import Case
from sklearn.covariance import oas as sklearn_oas
from sklearn.neighbors import NearestNeighbors

from detector.detector import Detector
from detector.divergence import Reference
from detector.embedding import Embedding
from detector.moments import Moments
from detector.options import Options
from detector.scorers import regional
from detector.scorers.regional import worst
from detector.shrinkage import oas
from detector.spec import Spec

IMAGES, FRESH = synthetic(0, 12), synthetic(1, 3)


def cells(embedding: Embedding) -> np.ndarray:
    """Return the rows of all cells, (n, k, d), float64."""
    return embedding.regional["second"].astype(np.float64)


def inside(rows: np.ndarray) -> np.ndarray:
    """Return the rows that are not NaN, one below the other."""
    flat = rows.reshape(-1, rows.shape[-1])
    return flat[~np.isnan(flat[:, 0])]


def distances(embedding: Embedding, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return SciPy's Mahalanobis distances of all cells; one covariance for all, or one each."""
    rows = cells(embedding)
    n, k, d = rows.shape
    mean, covariance = np.broadcast_to(mean, (k, d)), np.broadcast_to(covariance, (k, d, d))
    inverse = [np.linalg.inv(each) for each in covariance]
    return np.array(
        [[mahalanobis(rows[i, j], mean[j], inverse[j]) for j in range(k)] for i in range(n)]
    )


def maps(detector: Detector, embedding: Embedding) -> np.ndarray:
    """Return the maps of all images, (n, k)."""
    return np.stack([v.cells.ravel() for v in detector.judge(embedding)])  # type: ignore[union-attr]


def aligned_covariances(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each cell's mean, and w_s S_s + (1 - w_s) W of the square of cells it lies in."""
    k, d = rows.shape[1:]
    side = isqrt(k)
    every = [rows[~np.isnan(rows[:, j, 0]), j] for j in range(k)]
    scatters = [(part - part.mean(axis=0)).T @ (part - part.mean(axis=0)) for part in every]
    freedoms = [len(part) - 1 for part in every]
    pooled = oas(Moments(sum(freedoms), np.zeros(d), sum(scatters)))[0]
    covariances = []
    for cell in range(k):
        row, column = (place - place % 2 for place in divmod(cell, side))
        square = [i * side + j for i in (row, row + 1) for j in (column, column + 1)]
        freedom = sum(freedoms[j] for j in square)
        own = sum(scatters[j] for j in square) / freedom
        weight = freedom / (freedom + 4 * 32)
        covariances.append(weight * own + (1 - weight) * pooled)
    return np.stack([part.mean(axis=0) for part in every]), np.stack(covariances)


@pytest.mark.parametrize("columns", [2, regional.PANEL_COLUMNS])
def test_aligned_distances_equal_scipy(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reference: scipy mahalanobis, cell by cell, with the docstring's covariances; rtol 1e-6."""
    monkeypatch.setattr(regional, "PANEL_COLUMNS", columns)
    case = Case("regional", "regional", "plain", region=False)

    actual = maps(case.fitted(IMAGES), FRESH)

    expected = distances(FRESH, *aligned_covariances(cells(IMAGES)))
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


def test_cells_that_are_seldom_inside_lean_on_the_pooled_covariance() -> None:
    """Reference: the same formula where each cell has its own count of images."""
    rng = np.random.default_rng(0)
    gone = rng.random((12, 16)) < np.linspace(0, 0.7, 16)
    gone[:2] = False

    def cut(part: str, rows: np.ndarray) -> np.ndarray:
        return np.where(gone[:, :, None], np.float32(np.nan), rows) if part == "regional" else rows

    seen = changed(IMAGES, cut)
    detector = fitted_to(Detector(Spec("a", "b", "f", "regional")), seen)

    expected = distances(FRESH, *aligned_covariances(cells(seen)))
    np.testing.assert_allclose(maps(detector, FRESH), expected, rtol=1e-6)


def test_a_cell_that_was_never_fitted_has_no_distance() -> None:
    """Contract: NaN there alone, though its neighbours have fitted the covariance they share."""
    gone = np.zeros((12, 16), dtype=bool)
    gone[:, 5] = True

    def cut(part: str, rows: np.ndarray) -> np.ndarray:
        return np.where(gone[:, :, None], np.float32(np.nan), rows) if part == "regional" else rows

    found = maps(fitted_to(Detector(Spec("a", "b", "f", "regional")), changed(IMAGES, cut)), FRESH)

    assert np.isnan(found[:, 5]).all()
    assert not np.isnan(np.delete(found, 5, axis=1)).any()


@pytest.mark.parametrize("region", [False, True])
@pytest.mark.parametrize("columns", [2, regional.PANEL_COLUMNS])
def test_free_distances_equal_scipy(
    region: bool, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference: scipy mahalanobis with scikit-learn's OAS of all rows inside; rtol 1e-6."""
    monkeypatch.setattr(regional, "PANEL_COLUMNS", columns)
    case = Case("regional", "regional", "free", region)
    rows = inside(cells(case.seen(IMAGES)))

    actual = maps(case.fitted(IMAGES), FRESH)

    expected = distances(FRESH, rows.mean(axis=0), sklearn_oas(rows)[0])
    np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize("limit", [20, 10_000])
def test_memory_distances_equal_scikit_learn(limit: int) -> None:
    """Reference: scikit-learn's nearest neighbour among the remembered rows, whitened; 1e-8."""
    options = Options(memory=limit)
    detector = fitted_to(Detector(Spec("a", "b", "f", "regional", options=options)), IMAGES)
    remembered = detector.statistics["memory"].columns["row"].astype(np.float64)  # type: ignore[union-attr]
    rows = inside(cells(IMAGES))
    known = {row.tobytes() for row in rows}
    whitening = np.linalg.cholesky(np.linalg.inv(sklearn_oas(rows)[0]))
    found = NearestNeighbors(n_neighbors=1).fit(remembered @ whitening)

    expected = found.kneighbors(cells(FRESH).reshape(-1, 3) @ whitening)[0].reshape(3, 16)

    assert len(remembered) == min(limit, 12 * 16)
    assert {row.tobytes() for row in remembered} <= known
    np.testing.assert_allclose(maps(detector, FRESH), expected, rtol=1e-8)
    assert maps(detector, IMAGES).min() < 1e-6


@pytest.mark.parametrize(
    ("count", "taken"), [(1, 1), (16, 1), (149, 1), (151, 2), (256, 3), (400, 4)]
)
def test_the_score_is_the_mean_of_the_worst_cells(count: int, taken: int) -> None:
    """Reference: a sort in plain Python; cells outside do not count, neither as cells."""
    table = np.full((4, 450), np.nan)
    values = np.random.default_rng(count).random((4, count))
    for row, each in zip(table, values, strict=True):
        row[np.random.default_rng(1).permutation(450)[:count]] = each

    expected = [sum(sorted(each, reverse=True)[:taken]) / taken for each in values.tolist()]

    np.testing.assert_allclose(worst(table), expected, rtol=1e-12)


def test_fusion_is_its_formula() -> None:
    """Reference: the two scorers it is made of, over the roots of widths; twice the whole."""
    whole, places, fused = (
        Case(scorer, descriptor, "plain", region=False).fitted(IMAGES)
        for scorer, descriptor in (
            ("gaussian", "squeeze_stats"),
            ("regional", "regional"),
            ("fusion", "squeeze_stats"),
        )
    )
    scale = np.sqrt(9) + np.sqrt(6)  # three statistics of three and of two channels

    image_level = 2 * whole.scores(FRESH) / scale
    np.testing.assert_allclose(
        fused.scores(FRESH), image_level + places.scores(FRESH) / np.sqrt(3), rtol=1e-12
    )
    expected = maps(places, FRESH) / np.sqrt(3)  # uncalibrated: the regional part alone
    np.testing.assert_allclose(maps(fused, FRESH), expected, rtol=1e-12)


def test_fusion_of_a_normal_image_has_the_whole_near_two() -> None:
    """Law: with many images, a Gaussian image's distance is near what is expected: sqrt(width)."""
    detector = Case("fusion", "squeeze_stats", "plain", region=False).fitted(synthetic(0, 500))

    whole = [sum(list(v.contributions.values())[:-1]) for v in detector.judge(synthetic(1, 200))]

    assert np.mean(whole) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize("region", [False, True])
def test_kl_is_the_divergence_of_an_images_cells(region: bool) -> None:
    """Reference: ``detector.divergence``, itself tested against SciPy, of the rows inside."""
    case = Case("kl", "regional", "plain", region)
    reference = Reference(Moments.of(inside(cells(case.seen(IMAGES)))))

    verdicts = case.fitted(IMAGES).judge(case.seen(FRESH))

    for i, verdict in enumerate(verdicts):
        d = reference.divergence(inside(cells(select(case.seen(FRESH), [i]))))
        assert verdict.score == pytest.approx(d.excess, rel=1e-9)
        assert verdict.contributions == pytest.approx(
            {"mean": d.mean, "scale": d.scale, "correlation": d.correlation, "null": -d.null},
            rel=1e-9,
            abs=1e-9,
        )
