"""The embedder: real photographs through the real backbone; a batch changes nothing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from embedding_helpers import PARTS, Scene, embed_all, select, synthetic
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file

from detector.detector import Detector
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import BackboneError
from detector.spec import Spec

SIDE_PX = 64


@pytest.fixture(scope="module")
def prepared(embedder: Embedder, photographs: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """Four photographs and their mirror images, at the network's size."""
    return [embedder.prepare(p, SIDE_PX) for p in [*photographs, *(q[::-1] for q in photographs)]]


@pytest.fixture(scope="module")
def batch(embedder: Embedder, prepared: list[NDArray[np.uint8]]) -> Embedding:
    """The photographs, embedded together."""
    return embedder.embed(prepared)


def assert_same(actual: Embedding, expected: Embedding, rtol: float) -> None:
    """Compare embeddings; ``rtol`` is relative to the largest value of the block."""
    for part in (*PARTS, "regional"):
        for block, rows in getattr(expected, part).items():
            got = getattr(actual, part)[block]
            np.testing.assert_allclose(got, rows, rtol=0, atol=rtol * float(np.abs(rows).max()))
    np.testing.assert_array_equal(actual.thumbnail, expected.thumbnail)


def test_alone_equals_in_a_batch(
    embedder: Embedder, prepared: list[NDArray[np.uint8]], batch: Embedding
) -> None:
    """Law: batch = alone, for every statistic of every block."""
    alone = Embedding.concatenate([embedder.embed([image]) for image in prepared])

    assert_same(alone, batch, rtol=1e-4)


def test_company_and_place_in_a_batch_do_not_matter(
    embedder: Embedder, prepared: list[NDArray[np.uint8]], batch: Embedding
) -> None:
    """Law: the batch backwards is the batch backwards."""
    backwards = embedder.embed(prepared[::-1])

    assert_same(select(backwards, range(len(prepared))[::-1]), batch, rtol=1e-4)


@pytest.fixture(scope="module")
def one_by_one(
    embedder: Embedder,
    scene: Scene,
    texture: list[NDArray[np.uint8]],
    photographs: list[NDArray[np.uint8]],
) -> tuple[Embedding, Embedding]:
    """Normal and other pictures, embedded each alone, and as the scene has them, in batches."""
    alone = embed_all(embedder, [*texture[65:71], *photographs], 64, batch=1)
    return alone, Embedding.concatenate([select(scene.fresh, range(6)), scene.anomalous])


def test_scores_alone_equal_scores_in_a_batch(
    fitted: Detector, one_by_one: tuple[Embedding, Embedding]
) -> None:
    """Law: batch = alone in what is answered, to 1e-4, for normal and other pictures."""
    alone, together = map(fitted.scores, one_by_one)

    np.testing.assert_allclose(alone, together, rtol=1e-4)


def test_the_same_batch_gives_the_same_bits(
    embedder: Embedder, prepared: list[NDArray[np.uint8]], batch: Embedding
) -> None:
    """Contract: embedding has no memory and no chance in it."""
    assert_same(embedder.embed(prepared), batch, rtol=0)


def test_an_embedding_has_a_row_per_image_and_a_column_per_channel(
    embedder: Embedder, batch: Embedding
) -> None:
    """Contract: float32 (n, c), blocks in the order in which they run, gates in (0, 1)."""
    assert len(batch) == 8
    for part in PARTS:
        rows = getattr(batch, part)
        assert list(rows) == list(embedder.channels)
        for block, c in embedder.channels.items():
            assert rows[block].shape == (8, c)
            assert rows[block].dtype == np.float32
            assert np.isfinite(rows[block]).all()
    for block, gate in batch.gate.items():
        assert ((gate > 0) & (gate < 1)).all()
        assert (batch.std[block] >= 0).all()
        assert (batch.maximum[block] >= batch.mean[block] - 1e-6).all()
    for block, cells in batch.regional.items():
        assert cells.shape == (8, 256, embedder.channels[block])
        assert cells.dtype == np.float32
        assert np.isfinite(cells).all()
    assert batch.thumbnail.shape == (8, 3, 64, 64)


@given(n=st.integers(1, 9), cut=st.integers(0, 9))
def test_cut_and_concatenated_is_the_whole(n: int, cut: int) -> None:
    """Law: concatenate undoes every cut, bit by bit; ``image`` cuts out one."""
    whole = synthetic(0, n)
    cut = min(cut, n)

    halves = [select(whole, range(cut)), select(whole, range(cut, n))]
    singles = [whole.image(i) for i in range(n)]

    assert [len(part) for part in halves] == [cut, n - cut]
    assert all(len(single) == 1 for single in singles)
    assert_same(Embedding.concatenate(halves), whole, rtol=0)
    assert_same(Embedding.concatenate(singles), whole, rtol=0)
    assert_same(singles[n - 1], select(whole, [n - 1]), rtol=0)


def test_two_embedders_of_one_backbone_have_one_fingerprint(embedder: Embedder) -> None:
    """Law: restart = same state."""
    other = Embedder.load("se-lite0", "cpu")

    assert other.fingerprint == embedder.fingerprint
    assert other.channels == embedder.channels
    assert (embedder.name, embedder.device) == ("se-lite0", "cpu")


def test_auto_takes_the_device_that_is_there() -> None:
    """Contract: CUDA when present, the CPU otherwise."""
    assert Embedder.load("se-lite0", "auto").device == (
        "cuda" if torch.cuda.is_available() else "cpu"
    )


def test_an_unknown_backbone_is_refused() -> None:
    """Contract: the message names the backbones there are."""
    with pytest.raises(BackboneError, match=r"'resnet50'; there is: .*se-lite0"):
        Embedder.load("resnet50", "cpu")


@pytest.mark.parametrize(
    ("name", "weights", "match"),
    [
        ("timm:resnet18", None, "no Squeeze-and-Excitation block"),
        ("timm:no_such_network", None, "timm has no network 'no_such_network'"),
        ("timm:mobilenetv3_small_050", "absent.pth", "cannot read the weights absent.pth"),
        ("se-lite0", "absent.safetensors", "cannot read the weights absent.safetensors"),
    ],
)
def test_what_cannot_be_built_is_an_error_of_the_backbone(
    name: str, weights: str | None, match: str
) -> None:
    """Contract: errors of the models come as one of the detector's, with their words."""
    with pytest.raises(BackboneError, match=match):
        Embedder.load(name, "cpu", weights=None if weights is None else Path(weights))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """A small network of timm with random weights, saved and loaded by name."""
    name = "mobilenetv3_small_050"
    path = tmp_path_factory.mktemp("weights") / f"{name}.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), path)
    return Embedder.load(f"timm:{name}", "cpu", weights=path)


def test_detector_works_on_a_network_of_timm(
    foreign: Embedder,
    embedder: Embedder,
    texture: list[NDArray[np.uint8]],
    photographs: list[NDArray[np.uint8]],
) -> None:
    """Contract: from name and file to scores; most photographs are further off than any gravel."""
    spec = Spec("gravel", foreign.name, foreign.fingerprint, "gaussian", "", SIDE_PX)
    detector = Detector(spec)

    normal = embed_all(foreign, texture[:40], SIDE_PX)
    fitted = detector.learn(detector.statistics_of(select(normal, range(30))), extend=False)
    fresh = fitted.scores(select(normal, range(30, 40)))
    odd = fitted.scores(embed_all(foreign, photographs, SIDE_PX))

    assert foreign.fingerprint != embedder.fingerprint
    assert list(normal.gate) == list(foreign.channels)
    assert all(((gate >= 0) & (gate <= 1)).all() for gate in normal.gate.values())
    assert np.median(odd) > max(fresh)  # not all: the weights are random


def test_pictures_are_prepared_as_the_network_wants_them(
    foreign: Embedder, embedder: Embedder, photographs: list[NDArray[np.uint8]]
) -> None:
    """Contract: bicubic for the one, bilinear for the other."""
    bicubic, bilinear = (e.prepare(photographs[0], SIDE_PX) for e in (foreign, embedder))

    assert bicubic.shape == bilinear.shape == (3, SIDE_PX, SIDE_PX)
    assert (bicubic != bilinear).mean() > 0.05


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_missing_cuda_device_is_refused() -> None:
    """Contract: never the CPU in silence where CUDA was asked for."""
    with pytest.raises(BackboneError, match="no CUDA device"):
        Embedder.load("se-lite0", "cuda")


def test_prepared_pictures_are_squares_with_channels_first(
    embedder: Embedder, photographs: list[NDArray[np.uint8]]
) -> None:
    """Contract: uint8 (3, s, s) from any size, from read-only memory, which stays as it was."""
    for photograph in photographs:
        locked = photograph.copy()
        locked.flags.writeable = False

        square = embedder.prepare(locked, 128)

        assert square.shape == (3, 128, 128)
        assert square.dtype == np.uint8
        np.testing.assert_array_equal(locked, photograph)


def test_a_picture_of_the_right_size_is_left_alone(
    embedder: Embedder, texture: list[NDArray[np.uint8]]
) -> None:
    """Law: prepare at the picture's own size only moves the channels to the front."""
    np.testing.assert_array_equal(embedder.prepare(texture[0], 128), texture[0].transpose(2, 0, 1))


def test_pictures_can_be_prepared_on_many_threads(
    embedder: Embedder, photographs: list[NDArray[np.uint8]]
) -> None:
    """Law: on eight threads = one after the other, bit by bit."""
    work = [(photograph, side) for photograph in photographs for side in (64, 128, 224)] * 4
    expected = [embedder.prepare(photograph, side) for photograph, side in work]

    with ThreadPoolExecutor(8) as pool:
        actual = list(pool.map(lambda item: embedder.prepare(*item), work))

    for got, wanted in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
