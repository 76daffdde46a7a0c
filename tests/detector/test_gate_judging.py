"""Judging gates: the gate pattern against loops, the verdict's edges, what cannot be fitted."""

import copy
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.adapt import adapt, held_out, most_ticks, planted
from detector.embedder import Embedder
from detector.embedding import Embedding
from detector.errors import BackboneError, DegenerateDataError
from detector.gate_judging import MARGIN, Figures, Images, judge, pattern, verdict

Crops = list[NDArray[np.uint8]]


def with_gates(gates: dict[str, NDArray[np.float32]]) -> Embedding:
    """An embedding of which only the gates matter."""
    n = len(next(iter(gates.values())))
    return Embedding(gates, gates, gates, gates, {}, np.zeros((n, 3, 1, 1), np.uint8))


def figures(gaussian: float, fusion: float) -> Figures:
    names = {"gate/gaussian": gaussian, "gate_logit/gaussian": gaussian, "fusion": fusion}
    return Figures(names, pattern=1.0)


@pytest.fixture(scope="module")
def prepared(embedder: Embedder, texture: Crops) -> list[NDArray[np.uint8]]:
    return [embedder.prepare(image, 64) for image in texture[:40]]


def test_pattern_is_the_stated_mean() -> None:
    """Reference: image by image, kind by kind, channel by channel."""
    rng = np.random.default_rng(0)
    shapes = {"a": 3, "b": 5}
    normal = {name: rng.random((6, c)).astype(np.float32) for name, c in shapes.items()}
    bad = {name: rng.random((12, c)).astype(np.float32) for name, c in shapes.items()}

    expected = []
    for name, c in shapes.items():
        for channel in range(c):
            moves = [abs(bad[name][i, channel] - normal[name][i % 6, channel]) for i in range(12)]
            expected.append(np.mean(moves) / np.std(normal[name][:, channel]))

    assert pattern(with_gates(normal), with_gates(bad)) == pytest.approx(np.mean(expected))


def test_constant_gates_have_a_finite_pattern() -> None:
    """Contract: gates that never move show no pattern."""
    still = {"a": np.full((4, 2), 0.5, np.float32)}

    assert pattern(with_gates(still), with_gates(still)) == 0


@pytest.mark.parametrize(
    ("gaussian", "fusion", "kept"),
    [
        (0.90, 0.90, True),
        (0.80, 0.90, False),
        (0.80 + MARGIN, 0.90, False),
        (0.80 + 2 * MARGIN, 0.90, True),
        (0.90, 0.90 - 0.9 * MARGIN, True),
        (0.90, 0.90 - 1.1 * MARGIN, False),
        (0.70, 0.99, False),
    ],
)
def test_verdict_weighs_gain_and_loss(gaussian: float, fusion: float, kept: bool) -> None:
    """Contract: a clear gain is needed, and the default scorer must not pay for it."""
    helped, reason = verdict(figures(0.80, 0.90), figures(gaussian, fusion))

    assert helped is kept
    assert reason.startswith("It helped" if kept else "It did not help")


def test_gates_of_images_that_do_not_vary_are_worth_chance(
    embedder: Embedder, prepared: list[NDArray[np.uint8]]
) -> None:
    """Contract: where no detector can be fitted the AUROC is 0.5, not an error."""
    seen: list[int] = []
    images = Images([prepared[0]] * 5, prepared[:3], prepared[3:6])

    judged = judge(embedder, images, seen.append)

    assert set(judged.auroc.values()) == {0.5}
    assert judged.criterion == 0.5
    assert sum(seen) == len(images) == 11


def test_obvious_defects_are_told_apart(
    embedder: Embedder, prepared: list[NDArray[np.uint8]]
) -> None:
    """Contract: higher is better: inverted pictures are found by every judge."""
    judged = judge(
        embedder, Images(prepared[:30], prepared[30:], [255 - p for p in prepared[30:]]), ignore
    )

    assert min(judged.auroc.values()) > 0.9
    assert judged.pattern > 1


def ignore(_done: int) -> None:
    pass


def test_planted_defects_follow_their_images(prepared: list[NDArray[np.uint8]]) -> None:
    """Contract: three kinds, each on all images in order; most of every picture is unchanged."""
    defective = planted(prepared[:4], seed=1)

    assert len(defective) == 12
    for index, image in enumerate(defective):
        same = np.mean(image == prepared[index % 4])
        assert 0.7 < same < 1
    assert np.array_equal(defective, planted(prepared[:4], seed=1))
    assert not np.array_equal(defective, planted(prepared[:4], seed=2))


def test_names_alone_decide_what_is_held_out() -> None:
    """Law: an image's side does not depend on which others there are; about 30 % are held out."""
    names = [f"{index}.png" for index in range(400)]
    whole = held_out(names)

    assert held_out(names[::-1]) == whole[::-1]
    assert held_out(names[:200]) == whole[:200]
    assert 0.22 < np.mean(whole) < 0.38
    assert most_ticks(names) > 2 * 400


def test_another_backbone_has_no_gates_to_adapt(
    embedder: Embedder, prepared: list[NDArray[np.uint8]]
) -> None:
    """Contract: refused before anything is computed."""
    other = copy.copy(embedder)
    other.name = "timm:seresnet50"

    with pytest.raises(BackboneError, match=r"gates of se-lite0 .*, not timm:seresnet50's"):
        adapt(other, prepared, [f"{i}.png" for i in range(40)])


def test_too_few_images_are_refused(embedder: Embedder, prepared: list[NDArray[np.uint8]]) -> None:
    """Contract: the message counts and says what would do."""
    with pytest.raises(DegenerateDataError, match=r"10 normal images give .* add images"):
        adapt(embedder, prepared[:10], [f"{i}.png" for i in range(10)])


def test_gates_that_cannot_be_read_are_refused(
    embedder: Embedder, prepared: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    """Contract: an expected failure of the domain, before anything is judged."""
    names = [f"{i}.png" for i in range(40)]
    with pytest.raises(BackboneError, match="cannot read the weights"):
        adapt(embedder, prepared, names, gates=tmp_path / "none.safetensors")
