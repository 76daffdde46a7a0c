"""Poor sets of real pictures: refused with a reason, or scored with finite numbers."""

from collections.abc import Sequence

import numpy as np
import pytest
from embedding_helpers import Scene, bits, embed_all
from numpy.typing import NDArray

from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import DegenerateDataError
from detector.scorers import SCORERS
from detector.spec import Spec

SIDE_PX = 64

Pictures = Sequence[NDArray[np.uint8]]


def grey(level: int) -> NDArray[np.uint8]:
    """Return a picture of one grey level: a covered lens, a dead camera."""
    return np.full((80, 80, 3), level, dtype=np.uint8)


def learn(embedder: Embedder, scorer: str, embedding: Embedding) -> Detector:
    """Return a new detector, fitted."""
    empty = Detector(Spec("poor", embedder.name, embedder.fingerprint, scorer, "", SIDE_PX))
    return empty.learn(empty.statistics_of(embedding), extend=False)


def in_uneven_batches(embedder: Embedder, image: NDArray[np.uint8]) -> Embedding:
    """Return one picture six times, in batches whose rounding differs."""
    prepared = embedder.prepare(image, SIDE_PX)
    return Embedding.concatenate([embedder.embed([prepared] * n) for n in (1, 2, 3)])


def assert_scores_are_sound(detector: Detector, own: Embedding, scene: Scene) -> None:
    """Own images, normal ones and anomalies get finite scores, own ones the least."""
    scores = [detector.scores(e) for e in (own, scene.fresh, scene.anomalous)]
    for part in scores:
        assert np.isfinite(part).all()
        assert (part >= 0).all()
    assert scores[0].max() < scores[2].min()


def test_one_image_has_no_covariance(embedder: Embedder, texture: Pictures) -> None:
    """Contract: the Gaussian refuses it and says what it takes."""
    with pytest.raises(DegenerateDataError, match=r"^block \S+: 1 image.*at least 2 different"):
        learn(embedder, "gaussian", embed_all(embedder, texture[:1], SIDE_PX))


def test_one_image_is_a_prototype(embedder: Embedder, texture: Pictures, scene: Scene) -> None:
    """Contract: the distance to one image is defined; to itself it is nothing."""
    own = embed_all(embedder, texture[:1], SIDE_PX)

    detector = learn(embedder, "prototype", own)

    assert_scores_are_sound(detector, own, scene)
    assert detector.scores(own)[0] == 0.0


@pytest.mark.parametrize("picture", ["crop", "photograph", "black", "white"])
def test_one_image_many_times_does_not_vary(
    embedder: Embedder, texture: Pictures, photographs: Pictures, picture: str
) -> None:
    """Contract: the same upload again and again is refused, whatever its batches rounded."""
    pictures = {
        "crop": texture[0],
        "photograph": photographs[0],
        "black": grey(0),
        "white": grey(255),
    }
    same = in_uneven_batches(embedder, pictures[picture])

    with pytest.raises(DegenerateDataError, match="the 6 fitted rows do not vary"):
        learn(embedder, "gaussian", same)
    assert learn(embedder, "prototype", same).scores(same).max() < 1e-4


@pytest.mark.parametrize("scorer", list(SCORERS))
def test_constant_images_of_several_levels_are_accepted(
    embedder: Embedder, scene: Scene, scorer: str
) -> None:
    """Contract: they vary, in one direction only; every score is finite."""
    own = embed_all(embedder, [grey(level) for level in (60, 70, 80, 90)], SIDE_PX)

    assert_scores_are_sound(learn(embedder, scorer, own), own, scene)


@pytest.mark.parametrize("scorer", list(SCORERS))
@pytest.mark.parametrize("n", [2, 5])
def test_fewer_images_than_channels_are_accepted(
    embedder: Embedder, texture: Pictures, scene: Scene, scorer: str, n: int
) -> None:
    """Contract: two to five images for up to 960 channels; shrinkage makes up for it."""
    own = embed_all(embedder, texture[:n], SIDE_PX)

    assert_scores_are_sound(learn(embedder, scorer, own), own, scene)


@pytest.mark.parametrize("scorer", list(SCORERS))
def test_duplicates_among_different_images_are_accepted(
    embedder: Embedder, texture: Pictures, scene: Scene, scorer: str
) -> None:
    """Contract: one image nine times and two others."""
    own = embed_all(embedder, [*[texture[0]] * 9, texture[1], texture[2]], SIDE_PX)

    assert_scores_are_sound(learn(embedder, scorer, own), own, scene)


def test_a_refused_fit_leaves_the_detector_as_it_was(
    calibrated: Detector, scene: Scene, embedder: Embedder
) -> None:
    """Contract: whoever replaces a good fit by a bad one keeps the good one."""
    before = bits(calibrated.judge(scene.fresh))
    if calibrated.spec.scorer == "gaussian":
        dead = in_uneven_batches(embedder, grey(0))
        with pytest.raises(DegenerateDataError):
            calibrated.learn(calibrated.statistics_of(dead), extend=False)

    assert calibrated.state == "calibrated"
    assert bits(calibrated.judge(scene.fresh)) == before
