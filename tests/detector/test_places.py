"""Shares of places: they sum to the score for every kind, and follow what was planted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from detector import places
from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.options import Options
from detector.spec import Spec
from models.backbone import Backbone
from models.families import FAMILIES

Made = tuple[np.ndarray, int]
"""A sample, and where it was changed: a node, a frame, a token."""
FEATURES, FRAMES, SIDE_PX, WORDS = 8, 6, 16, 32
FITTED = 60


@dataclass(frozen=True)
class Alone:
    """A preparation of one sample at a time, as a function makes a network's inputs of it."""

    shown: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    sample: Callable[[np.random.Generator, float], Made]

    def blank(self) -> np.ndarray:
        return self.sample(np.random.default_rng(0), 0.0)[0]

    def inputs(
        self, samples: Sequence[np.ndarray], device: torch.device
    ) -> tuple[tuple[Tensor, ...], None]:
        (sample,) = samples
        return tuple(torch.from_numpy(part).to(device) for part in self.shown(sample)), None

    def thumbnails(self, samples: Sequence[np.ndarray]) -> np.ndarray:
        return np.zeros((len(samples), 3, 2, 2), np.uint8)


def graph(rng: np.random.Generator, odd: float) -> Made:
    """A ring: features and, beside them, who is whose neighbour (n, f + n)."""
    n = int(rng.integers(8, 14))
    here, where = np.arange(n), int(rng.integers(n))
    beside = np.zeros((n, n))
    beside[here, (here + 1) % n] = beside[(here + 1) % n, here] = 1
    features = rng.normal(0, 0.5, size=(n, FEATURES))
    features[where] += odd * np.resize([1, -1], FEATURES)
    return np.concatenate([features, beside], axis=1).astype(np.float32), where


def clip(rng: np.random.Generator, odd: float) -> Made:
    """Noise; a square in one frame."""
    where = int(rng.integers(FRAMES))
    pixels = rng.normal(0, 0.3, size=(3, FRAMES, SIDE_PX, SIDE_PX)).astype(np.float32)
    pixels[:, where, 4:8, 4:8] += odd
    return pixels, where


def sound(rng: np.random.Generator, odd: float) -> Made:
    """Noise of 12 to 20 frames, one of them loud."""
    pixels = rng.normal(size=(16, int(rng.integers(12, 21)))).astype(np.float32)
    where = int(rng.integers(pixels.shape[1]))
    pixels[:, where] += odd
    return pixels, where


def words(rng: np.random.Generator, odd: float) -> Made:
    """Words of the first half of the vocabulary, one of the second."""
    ids = rng.integers(2, WORDS // 2, size=rng.integers(6, 14))
    where = int(rng.integers(len(ids)))
    ids[where] += WORDS // 2 * (odd > 0)
    return ids.astype(np.int64), where


def pair(rng: np.random.Generator, odd: float) -> Made:
    """A picture and words, in one row."""
    ids, where = words(rng, odd)
    pixels = rng.normal(size=3 * SIDE_PX**2)
    return np.concatenate([pixels, ids]).astype(np.float32), where


def of_graph(sample: np.ndarray) -> tuple[np.ndarray, ...]:
    edges = np.stack(np.nonzero(sample[:, FEATURES:]))
    return sample[:, :FEATURES].copy(), edges, np.array([len(sample)])


def of_words(sample: np.ndarray) -> tuple[np.ndarray, ...]:
    return sample[None], np.ones((1, len(sample)), np.float32)


def of_pair(sample: np.ndarray) -> tuple[np.ndarray, ...]:
    pixels, ids = sample[: 3 * SIDE_PX**2], sample[3 * SIDE_PX**2 :].astype(np.int64)
    return pixels.reshape(1, 3, SIDE_PX, SIDE_PX), *of_words(ids)


CLIPS, GRAPHS = Alone(lambda x: (x[None],), clip), Alone(of_graph, graph)
PAIRS = Alone(of_pair, pair)
KINDS = {
    "audio": Alone(lambda x: (x[None, None], np.ones((1, *x.shape), np.float32)), sound),
    "video": CLIPS,
    "video_frames": CLIPS,
    "graph, average squeeze": GRAPHS,
    "graph, sum squeeze": GRAPHS,
    "transformer": Alone(of_words, words),
    "image and text, joint": PAIRS,
    "image and text, bilinear": PAIRS,
}


@cache
def seen(name: str) -> tuple[Embedder, Embedding]:
    """Return a family's small network, a little used to random inputs, and normal samples."""
    torch.manual_seed(0)
    (family,) = [family for family in FAMILIES if family.name == name]
    network = family.build().train()
    with torch.no_grad():
        for _ in range(20):
            network(*family.example(8))
    embedder = Embedder(Backbone(name, network, KINDS[name], torch.device("cpu")))
    rng = np.random.default_rng(0)
    normal = [embedder.embed([KINDS[name].sample(rng, 0.0)[0]]) for _ in range(FITTED)]
    return embedder, Embedding.concatenate(normal)


def fitted(name: str, scorer: str = "gaussian", descriptor: str = "", **options: Any) -> Detector:
    embedder, normal = seen(name)
    spec = Spec("a", name, embedder.fingerprint, scorer, descriptor, options=Options(**options))
    detector = Detector(spec)
    return detector.learn(detector.statistics_of(normal), extend=False)


OPTIONS: tuple[dict[str, Any], ...] = ({}, {"normalise": "zscore"}, {"covariance": "diagonal"})


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("scorer", ["gaussian", "prototype"])
@pytest.mark.parametrize("descriptor", ["squeeze", "squeeze_stats"])
def test_shares_sum_to_the_score(name: str, scorer: str, descriptor: str) -> None:
    """Law: block by block, to rounding in float64; of the shape of the block's map."""
    embedder, _ = seen(name)
    rng = np.random.default_rng(1)
    for options in OPTIONS:
        detector = fitted(name, scorer, descriptor, **options)
        for odd in (0.0, 3.0):
            sample, _ = KINDS[name].sample(rng, odd)
            found = places.shares(detector, embedder, sample)
            wanted = detector.contributions(embedder.embed([sample]))[0]

            assert list(found) == list(embedder.channels)
            sums = [part.sum() for part in found.values()]
            np.testing.assert_allclose(sums, wanted, rtol=1e-9)
            for block, seen_map in embedder.maps(sample)[1].items():
                assert found[block].shape == seen_map.share.shape
                assert np.isfinite(found[block]).all()


PLANTED = {
    "audio": (4.0, 1),
    "video": (4.0, 0),
    "graph, average squeeze": (3.0, 1),
    "transformer": (1.0, 0),
}
"""Family -> how large the change is, and how many places off it may be found."""


@pytest.mark.parametrize("name", PLANTED)
def test_what_was_planted_has_the_largest_share(name: str) -> None:
    """Law: in the first block, whose places are the sample's, two times of three or more.

    By chance it would be one of six (frames), of ten (tokens) or three of ten (audio, nodes). The
    networks are random. A node's messages reach its neighbours as much as itself, and a stride
    makes one frame of two: so these may be one off.
    """
    embedder, _ = seen(name)
    detector = fitted(name, descriptor="squeeze")
    odd, off = PLANTED[name]
    rng, found = np.random.default_rng(2), []
    for _ in range(40):
        sample, where = KINDS[name].sample(rng, odd)
        first = next(iter(places.shares(detector, embedder, sample).values()))
        if name == "video":
            first = first.sum(axis=(1, 2))
        if name == "audio":
            first, where = first.sum(axis=0), where // 2
        distance = abs(int(first.argmax()) - where)
        if name.startswith("graph"):
            distance = min(distance, len(first) - distance)  # a ring
        found.append(distance <= off)

    assert np.mean(found) >= 2 / 3, np.mean(found)


def test_nodes_in_another_order_have_the_same_shares() -> None:
    """Law: renumbering the nodes of a graph renumbers their shares."""
    name = "graph, average squeeze"
    embedder, _ = seen(name)
    detector, rng = fitted(name), np.random.default_rng(3)
    sample, _ = graph(rng, 2.0)
    order = rng.permutation(len(sample))
    other = np.concatenate([sample[order, :FEATURES], sample[order][:, FEATURES + order]], axis=1)

    plain, moved = (places.shares(detector, embedder, each) for each in (sample, other))

    for block, part in plain.items():
        assert np.ptp(part) > 0.1
        np.testing.assert_allclose(moved[block], part[order], rtol=0, atol=1e-3 * np.ptp(part))
