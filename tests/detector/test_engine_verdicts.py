"""The engines agree: the same fingerprint, scores and verdicts for real photographs.

What was fitted and calibrated with one engine may be judged with the other.
"""

import numpy as np
import pytest
import torch
from embedding_helpers import Scene, embed_all
from numpy.typing import NDArray

from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import BackboneError

SIDE_PX = 64


@pytest.fixture(scope="session")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """The shipped backbone on ONNX Runtime, ready for the scene's size."""
    folder = tmp_path_factory.mktemp("engines")
    made = Embedder.load("se-lite0", "cpu", 1, engine="auto", cache=folder)
    assert made.warm(SIDE_PX, wait=True)
    return made


@pytest.fixture(scope="session")
def seen(
    onnx: Embedder, texture: list[NDArray[np.uint8]], photographs: list[NDArray[np.uint8]]
) -> Embedding:
    """Fifteen new crops of the scene, and the four photographs, as ONNX Runtime sees them."""
    return embed_all(onnx, [*texture[65:80], *photographs], SIDE_PX, batch=7)


def test_engines_share_a_fingerprint(onnx: Embedder, embedder: Embedder) -> None:
    """Law: the engine is no part of what a detector is bound to."""
    assert (onnx.engine, embedder.engine) == ("onnx", "torch")
    assert onnx.fingerprint == embedder.fingerprint
    assert onnx.channels == embedder.channels
    assert onnx.regional == embedder.regional


def test_scores_and_verdicts_are_those_of_torch(
    calibrated: Detector, scene: Scene, seen: Embedding
) -> None:
    """Reference: torch's scores to 1e-4, and the very same verdicts, for every scorer."""
    wanted = Embedding.concatenate([scene.fresh, scene.anomalous])

    np.testing.assert_allclose(calibrated.scores(seen), calibrated.scores(wanted), rtol=1e-4)
    ours, theirs = calibrated.judge(seen), calibrated.judge(wanted)
    assert [verdict.flagged for verdict in ours] == [verdict.flagged for verdict in theirs]
    assert {verdict.flagged for verdict in ours} == {False, True}


def test_alone_is_as_in_a_batch(
    calibrated: Detector, onnx: Embedder, seen: Embedding, photographs: list[NDArray[np.uint8]]
) -> None:
    """Law: batch = alone on this engine too, to 1e-4."""
    alone = Embedding.concatenate([embed_all(onnx, [each], SIDE_PX) for each in photographs])

    np.testing.assert_allclose(
        calibrated.scores(alone), calibrated.scores(seen.images(slice(15, 19))), rtol=1e-4
    )


def test_the_engine_of_another_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: with what to do instead."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    with pytest.raises(BackboneError, match="'onnx' runs on the CPU: use engine 'auto' or 'torch'"):
        Embedder.load("se-lite0", "cuda", engine="onnx")
