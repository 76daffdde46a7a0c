"""The map of a planted defect, by the default scorer."""

import numpy as np
import pytest

from demo.scenes import LOCAL, SIDE_PX, scene
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.spec import Spec

FITTED, PER_KIND = 60, 6


def embedded(embedder: Embedder, kind: str, seeds: range) -> Embedding:
    prepared = [embedder.prepare(scene(kind, seed).picture, SIDE_PX) for seed in seeds]
    return Embedding.concatenate([embedder.embed([image]) for image in prepared])


@pytest.mark.slow
def test_maps_peak_inside_the_planted_defects(embedder: Embedder) -> None:
    """Law: the highest cell of the map meets the defect's mask, for 90 % of local defects."""
    created = Detector(Spec("bricks", embedder.name, embedder.fingerprint))
    normal = embedded(embedder, "good", range(FITTED))
    detector = created.learn(created.statistics_of(normal), extend=False)

    hits = []
    for number, kind in enumerate(LOCAL, start=1):
        seeds = range(1000 * number, 1000 * number + PER_KIND)
        for seed, verdict in zip(
            seeds, detector.judge(embedded(embedder, kind, seeds)), strict=True
        ):
            mask = scene(kind, seed).mask
            assert mask is not None
            assert verdict.cells is not None
            side = SIDE_PX // len(verdict.cells)
            row, column = np.unravel_index(np.argmax(verdict.cells), verdict.cells.shape)
            place = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
            hits.append(bool(mask[place].any()))

    assert np.mean(hits) >= 0.9, hits
