"""Published methods on our trunk: the same features as ours, their own training, quiet."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from detector import peers
from detector.embedder import Embedder
from models.preprocess import LITE0
from models.se_lite0 import lite0

pytestmark = pytest.mark.skipif(
    not peers.installed(), reason="anomalib is not installed (extra 'compare')"
)
Images = list[NDArray[np.uint8]]
NAMES = tuple(peers.PEERS)


@pytest.fixture(scope="module")
def normal(embedder: Embedder, texture: Images) -> Images:
    """Prepared images of a normal state."""
    return [embedder.prepare(image, 128) for image in texture]


@pytest.fixture(scope="module")
def odd(embedder: Embedder, texture: Images) -> Images:
    """Prepared images of the same state with a bright square at rows and columns 64..96."""
    images = [np.array(image) for image in texture[40:46]]
    for image in images:
        image[64:96, 64:96] = (250, 240, 20)
    return [embedder.prepare(image, 128) for image in images]


def learned(name: str, images: Images, seed: int = 0) -> peers.Peer:
    peer = peers.Peer(name, seed=seed)
    for start in range(0, len(images), 8):
        peer.collect(images[start : start + 8])
    peer.fit()
    return peer


@pytest.mark.parametrize("name", NAMES)
def test_their_features_are_those_of_our_trunk(name: str, normal: Images) -> None:
    """Reference: our ungated network, the last block of each stride; max difference 1e-4."""
    x = LITE0.normalise(torch.from_numpy(np.stack(normal[:2])))
    with torch.inference_mode():
        ours = lite0().features(x)
        theirs = peers.Peer(name)._model.feature_extractor(x)

    last_of_stride = {"blocks.1": 2, "blocks.2": 4, "blocks.4": 10}
    assert set(theirs) <= set(last_of_stride)
    for layer, features in theirs.items():
        expected = ours[last_of_stride[layer]]
        assert features.shape == expected.shape
        assert float((features - expected).abs().max()) <= 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_the_odd_ones_score_higher(name: str, normal: Images, odd: Images) -> None:
    """Contract: higher is more anomalous; scores and maps have the stated shapes and are finite."""
    peer = learned(name, normal[:32])

    good, _ = peer.judge(normal[60:66])
    bad, maps = peer.judge(odd)

    assert good.shape == bad.shape == (6,)
    assert maps.shape == (6, 128, 128)
    assert np.isfinite(maps).all()
    assert bad.min() > good.max()
    assert peer.state_bytes > 0


@pytest.mark.parametrize("name", ["anomalib-patchcore", "anomalib-padim"])
def test_their_maps_peak_on_the_defect(name: str, normal: Images, odd: Images) -> None:
    """Contract: rows come first and columns second, at the images' scale (DFM's grid is 2 x 2)."""
    _, maps = learned(name, normal[:32]).judge(odd)

    for anomaly in maps:
        row, column = np.unravel_index(np.argmax(anomaly), anomaly.shape)
        assert 48 <= row < 112
        assert 48 <= column < 112


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_and_touches_nothing(name: str, normal: Images) -> None:
    """Law: the same seed gives the same scores, and the global generators are left alone."""
    torch.manual_seed(7)
    np.random.seed(7)
    before, before_numpy = torch.random.get_rng_state(), np.random.get_state()[1]
    first, _ = learned(name, normal[:16], seed=1).judge(normal[70:74])
    second, _ = learned(name, normal[:16], seed=1).judge(normal[70:74])

    assert np.array_equal(first, second)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], before_numpy)


def test_another_seed_draws_otherwise(normal: Images) -> None:
    """Law: what PaDiM keeps is drawn."""
    first, _ = learned("anomalib-padim", normal[:16], seed=1).judge(normal[70:74])
    second, _ = learned("anomalib-padim", normal[:16], seed=2).judge(normal[70:74])

    assert not np.allclose(first, second)


def test_they_are_quiet(normal: Images, capfd: pytest.CaptureFixture[str]) -> None:
    """Contract: neither progress bars nor warnings reach the terminal."""
    learned("anomalib-patchcore", normal[:16])

    assert capfd.readouterr() == ("", "")
