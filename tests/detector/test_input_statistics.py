"""How pictures look: against a naive twin, where the answer is known, and through a file."""

from dataclasses import replace

import numpy as np
import pytest
from embedding_helpers import embed_all, restarted, stored, synthetic
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detector.calibration import Calibration
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import InvalidSpecError
from detector.input_statistics import input_statistics
from detector.rows import Rows
from detector.spec import Spec


def naive(sample: NDArray[np.uint8]) -> tuple[float, float, float]:
    """Return the statistics pixel by pixel, as they are written down."""
    red, green, blue = (channel.astype(int) for channel in sample[:3])
    y = (77 * red + 150 * green + 29 * blue) // 256
    side = y.shape[0]
    counts = sample[3] > 0 if len(sample) > 3 else np.ones_like(y, bool)
    edges = []
    for i in range(1, side - 1):
        for j in range(1, side - 1):
            near = [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
            if counts[i, j] and all(counts[place] for place in near):
                edges.append(abs(4 * y[i, j] - sum(y[place] for place in near)))
    seen = y[counts]
    return float(seen.mean()), float(seen.std()), float(np.mean(edges)) if edges else 0.0


@given(side=st.integers(1, 9), masked=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_as_written_down(side: int, masked: bool, seed: int) -> None:
    """Reference: a naive twin, with and without a mask, of extreme pixels, too."""
    rng = np.random.default_rng(seed)
    sample = rng.choice(np.array([0, 1, 100, 254, 255], np.uint8), (3 + masked, side, side))
    if masked:
        sample[3, 0, 0] = 255  # a mask that leaves nothing is refused before
    np.testing.assert_allclose(input_statistics([sample])[0], naive(sample), rtol=1e-5, atol=1e-4)


def test_known_pictures() -> None:
    """Reference: a grey one, a board of extremes, and one whose odd half does not count."""
    grey = np.full((3, 8, 8), 120, np.uint8)
    board = np.where(np.indices((8, 8)).sum(axis=0) % 2, 255, 0).astype(np.uint8)
    half = np.concatenate([np.where(np.arange(8) < 4, grey, 7), np.zeros((1, 8, 8), np.uint8)])
    half[3, :, :4] = 9
    found = input_statistics([grey, np.stack([board] * 3)])
    np.testing.assert_allclose(found, np.array([[120, 0, 0], [127.5, 127.5, 1020]]))
    np.testing.assert_allclose(input_statistics([half.astype(np.uint8)]), np.array([[120, 0, 0]]))


def test_alone_equals_in_company(embedder: Embedder, photographs: list[NDArray[np.uint8]]) -> None:
    """Law: to the last bit; an embedding has those of its prepared pictures."""
    together = embed_all(embedder, photographs, 64, batch=len(photographs))
    alone = embed_all(embedder, photographs, 64, batch=1)
    expected = input_statistics([embedder.prepare(each, 64) for each in photographs])
    assert together.inputs is not None
    assert alone.inputs is not None
    np.testing.assert_array_equal(together.inputs, expected)
    np.testing.assert_array_equal(alone.inputs, expected)


def looking(seed: int, n: int) -> Embedding:
    """Return made rows of pictures that look somehow."""
    looks = np.random.default_rng(seed).uniform(1, 200, (n, 3)).astype(np.float32)
    return replace(synthetic(seed, n), inputs=looks)


def test_they_go_with_the_rows() -> None:
    """Law: cut, joined, kept in a file and stripped of pixels, each row has its own."""
    embedding = looking(0, 9)
    created = Detector(Spec("bolts", "b", "f"))
    rows = created.rows(embedding)
    parts = [created.rows(embedding.images(slice(i, i + 3))) for i in (0, 3, 6)]
    for each in (rows, Rows.concatenate(parts), stored(rows), rows.without_pixels()):
        assert each.inputs is not None
        np.testing.assert_array_equal(each.inputs, embedding.inputs)
    taken = rows.take([4, 1]).inputs
    assert taken is not None
    assert embedding.inputs is not None
    np.testing.assert_array_equal(taken, embedding.inputs[[4, 1]])
    bare = created.rows(synthetic(1, 2))
    assert Rows.concatenate([rows, bare]).inputs is None
    assert stored(bare).inputs is None
    assert Embedding.concatenate([embedding, synthetic(1, 2)]).inputs is None


@pytest.mark.parametrize("known", [True, False])
def test_they_are_kept_with_the_calibration(known: bool) -> None:
    """Law: restart = same; one that was kept without them, as by older programs, still loads."""
    looks = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    calibration = Calibration(np.array([1.0, 2.0])).looking([looks[:1], looks[1:]])
    if not known:
        calibration = calibration.looking([looks[:1], None])
    created = Detector(Spec("bolts", "b", "f"))
    fitted = created.learn(created.statistics_of(synthetic(0, 40)), extend=False)
    again = restarted(fitted.having(calibration=calibration)).require_calibrated()
    assert (again.inputs is not None) == known
    if again.inputs is not None:
        np.testing.assert_array_equal(again.inputs, looks)


@pytest.mark.parametrize("looks", [np.ones((3, 3)), np.full((2, 3), np.nan)])
def test_inputs_that_are_not_those_of_the_scores_are_refused(looks: NDArray[np.float64]) -> None:
    """Contract: three finite ones for each, or none."""
    with pytest.raises(InvalidSpecError, match="inputs"):
        Calibration(np.array([1.0, 2.0]), inputs=looks)
