"""The embedder drives networks of any kind: pictures, sound, tokens; the detector fits and scores.

The networks are untrained. What is normal and what is not differ so much that random gates tell
them apart; how well trained ones do is measured elsewhere (docs/se-networks.md).
"""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import BackboneError
from detector.metrics import auroc
from detector.spec import Spec
from models.backbone import Backbone
from models.families import FAMILIES
from models.preprocess import LITE0, Preparation
from models.spectrogram import LogMel
from models.tokens import Tokens, Vocabulary

RATE_HZ, SIDE_PX = 8000, 32
WORDS = 20


def family_backbone(name: str, preparation: Preparation) -> Backbone:
    """Return the small network of a family, with random weights."""
    torch.manual_seed(0)
    (family,) = [family for family in FAMILIES if family.name == name]
    return Backbone(name, family.build().eval(), preparation, torch.device("cpu"))


def pictures(rng: np.random.Generator, *, odd: bool) -> np.ndarray:
    """Noise around grey; the odd ones are brighter below."""
    picture = rng.normal(110, 20, size=(3, SIDE_PX, SIDE_PX))
    picture[:, SIDE_PX // 2 :] += 90 * odd
    return picture.clip(0, 255).astype(np.uint8)


def sounds(rng: np.random.Generator, *, odd: bool) -> np.ndarray:
    """A tone in noise, of some length; the odd ones are an octave and a half higher."""
    time_s = np.arange(rng.integers(3000, 6000)) / RATE_HZ
    pitch_hz = rng.uniform(400, 440) * (2.8 if odd else 1)
    tone = np.sin(2 * np.pi * pitch_hz * time_s) + rng.normal(0, 0.1, size=time_s.shape)
    wave = tone.astype(np.float32)
    prepared: np.ndarray = LogMel(rate_hz=RATE_HZ).prepare(wave, RATE_HZ)
    return prepared


def sentences(rng: np.random.Generator, *, odd: bool) -> np.ndarray:
    """Words of the first half of the vocabulary; the odd ones are of the second."""
    words: np.ndarray = rng.integers(2, WORDS // 2, size=rng.integers(4, 12)) + odd * WORDS // 2
    return words.astype(np.int64)


KINDS = {
    "mobilenet_v3": (LITE0, pictures),
    "audio": (LogMel(rate_hz=RATE_HZ), sounds),
    "transformer": (Tokens(Vocabulary(tuple(map(str, range(WORDS))))), sentences),
}


def embed(embedder: Embedder, samples: Sequence[np.ndarray], batch: int = 8) -> Embedding:
    parts = [samples[i : i + batch] for i in range(0, len(samples), batch)]
    return Embedding.concatenate([embedder.embed(part) for part in parts])


@pytest.mark.parametrize("name", KINDS)
def test_any_kind_is_fitted_and_scored(name: str) -> None:
    """Contract: fit, score, alone = in a batch, evidence, for a network of every kind."""
    preparation, make = KINDS[name]
    embedder = Embedder(family_backbone(name, preparation))
    rng = np.random.default_rng(0)
    normal, fresh = ([make(rng, odd=False) for _ in range(n)] for n in (60, 20))
    odd = [make(rng, odd=True) for _ in range(20)]
    spec = Spec("any", embedder.name, embedder.fingerprint, scorer="gaussian")

    detector = Detector(spec)
    detector = detector.learn(detector.statistics_of(embed(embedder, normal)), extend=False)
    judged = embed(embedder, [*fresh, *odd])
    scores = detector.scores(judged)

    assert auroc(scores, np.repeat([False, True], 20)) > 0.95
    alone = [detector.scores(embedder.embed([sample]))[0] for sample in [*fresh[:4], *odd[:4]]]
    np.testing.assert_allclose(alone, [*scores[:4], *scores[20:24]], rtol=1e-3)
    assert detector.nearest(judged.images(slice(0, 1)))[0][0].thumbnail.shape == (3, 64, 64)
    assert len(np.unique(judged.thumbnail.reshape(40, -1), axis=0)) == 40


@pytest.mark.parametrize("name", ["audio", "transformer"])
def test_a_backbone_that_sees_no_images_says_so(name: str) -> None:
    """Contract: preparing a picture for it is refused, with its name."""
    embedder = Embedder(family_backbone(name, KINDS[name][0]))

    with pytest.raises(BackboneError, match=f"{name} does not see images"):
        embedder.prepare(np.zeros((8, 8, 3), np.uint8), 64)
