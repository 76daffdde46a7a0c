"""Evidence: which fitted images an image is most like, and their thumbnails."""

from dataclasses import replace

import numpy as np
import pytest
from embedding_helpers import Scene, fitted_to, select, synthetic
from scipy.spatial.distance import cdist

from detector import evidence
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import VIEWS, Embedding, mirrored
from detector.options import Options
from detector.sample import Sample
from detector.spec import Spec

IMAGES, FRESH = synthetic(0, 30), synthetic(1, 5)


def detector(**options: int | bool) -> Detector:
    """Return a detector that has seen nothing."""
    return Detector(Spec("a", "b", "f", options=Options(**options)))  # type: ignore[arg-type]


def squeezes(embedding: Embedding) -> np.ndarray:
    """Return the squeezes of all blocks side by side, float64."""
    return np.concatenate(list(embedding.mean.values()), axis=1).astype(np.float64)


def test_distances_equal_scipy() -> None:
    """Reference: scipy's standardised Euclidean distance, over the root of the channels; sorted."""
    known = squeezes(IMAGES)
    table = cdist(squeezes(FRESH), known, "seuclidean", V=known.var(axis=0))
    table /= np.sqrt(known.shape[1])

    found = fitted_to(detector(), IMAGES).nearest(FRESH, 4)

    for row, neighbours in zip(table, found, strict=True):
        order = np.argsort(row)[:4]
        np.testing.assert_allclose([n.distance for n in neighbours], row[order], rtol=1e-4)
        for index, neighbour in zip(order, neighbours, strict=True):
            np.testing.assert_array_equal(neighbour.thumbnail, IMAGES.thumbnail[index])


def test_a_fitted_image_is_its_own_nearest() -> None:
    """Contract: at distance 0, with its own thumbnail."""
    for i, (nearest, second) in enumerate(fitted_to(detector(), IMAGES).nearest(IMAGES, 2)):
        assert nearest.distance == 0.0 < second.distance
        np.testing.assert_array_equal(nearest.thumbnail, IMAGES.thumbnail[i])


def test_real_pictures_have_their_thumbnails(scene: Scene, embedder: Embedder) -> None:
    """Contract: the same on the real backbone; embedded in another batch too."""
    spec = Spec("gravel", embedder.name, embedder.fingerprint, "prototype", "", 64)
    again = select(scene.fit, [7, 3])

    found = fitted_to(Detector(spec), scene.fit).nearest(again, 1)

    for (neighbour,), index in zip(found, (7, 3), strict=True):
        assert neighbour.distance < 1e-3
        np.testing.assert_array_equal(neighbour.thumbnail, scene.fit.thumbnail[index])


@pytest.mark.parametrize("limit", [0, 1, 7, 1000])
def test_no_more_is_kept_than_the_limit(limit: int) -> None:
    """Contract: at most ``evidence`` images, however they came; none at 0."""
    fitted = detector(evidence=limit)
    for part in (range(11), range(11, 30), range(4, 8)):
        fitted = fitted.learn(fitted.statistics_of(select(IMAGES, part)), extend=True)

    found = fitted.nearest(FRESH, 50)

    assert [len(neighbours) for neighbours in found] == [min(limit, 30)] * 5
    assert [len(neighbours) for neighbours in fitted.nearest(FRESH, 2)] == [min(limit, 2)] * 5


def test_a_forgotten_image_is_nobodys_neighbour() -> None:
    """Law: forgetting removes its thumbnail; the others stay."""
    fitted = fitted_to(detector(), IMAGES)
    left = fitted.forget(fitted.statistics_of(select(IMAGES, [0, 5])))

    shown = [n.thumbnail.tobytes() for n in left.nearest(select(IMAGES, [5]), 50)[0]]

    expected = {IMAGES.thumbnail[i].tobytes() for i in range(30) if i not in (0, 5)}
    assert len(shown) == 28
    assert set(shown) == expected


def test_nothing_fitted_is_like_nothing() -> None:
    """Contract: an empty list for every image."""
    empty = evidence.sample(detector().rows(select(IMAGES, [])), 9)

    assert isinstance(empty, Sample)
    assert evidence.nearest(empty, detector().rows(FRESH), 3) == [[]] * 5
    assert detector().nearest(FRESH) == [[]] * 5


def test_without_squeezes_nobody_is_near() -> None:
    """Contract: rows kept without pixels leave no evidence, and find none."""
    bare = detector().rows(FRESH).without_pixels()

    assert fitted_to(detector(), IMAGES).nearest(bare) == [[]] * 5
    without = detector().learn(detector().statistics_of(bare), extend=False)
    assert without.nearest(FRESH) == [[]] * 5


def test_channels_that_never_varied_keep_distances_finite() -> None:
    """Contract: they count in their own unit."""
    one = fitted_to(Detector(Spec("a", "b", "f", "prototype")), select(IMAGES, [0]))

    distances = [neighbours[0].distance for neighbours in one.nearest(FRESH, 3)]

    expected = np.sqrt(np.mean((squeezes(FRESH) - squeezes(IMAGES)[:1]) ** 2, axis=1))
    np.testing.assert_allclose(distances, expected, rtol=1e-5)


def test_four_views_of_an_image_count_as_one() -> None:
    """Contract: itself, left to right, upside down, both; ``fitted_images`` counts pictures."""
    image = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)

    views = mirrored(image)

    assert len(views) == VIEWS == 4
    for view, expected in zip(
        views, (image, np.flip(image, 2), np.flip(image, 1), np.flip(image, (1, 2))), strict=True
    ):
        np.testing.assert_array_equal(view, expected)
        assert view.flags.c_contiguous
    fitted = fitted_to(detector(flips=True), synthetic(0, 4 * 6))
    assert fitted.fitted_images == 6
    plain = replace(fitted, spec=detector().spec)
    assert plain.fitted_images == 24
