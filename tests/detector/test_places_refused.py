"""Which scores come from no place, and what is said then; masks; blocks that were not chosen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from detector import places
from detector.detector import Detector
from detector.embedder import Embedder
from detector.errors import BackboneError, NoMapError, NotFittedError
from detector.options import Options
from detector.spec import Spec
from models.backbone import Backbone
from models.precision import PrecisionError
from models.preprocess import LITE0
from models.squeeze_excite import SqueezeExcite

SIDE_PX = 64


class Wide(nn.Module):
    """Two blocks, of 200 and 8 channels: 600 and 24 coordinates of three statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.expand, self.narrow = nn.Conv2d(3, 200, 3, 4), nn.Conv2d(200, 8, 3, 2)
        self.wide, self.block = SqueezeExcite(200, 50), SqueezeExcite(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(self.narrow(self.wide(self.expand(x))))
        return y


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    """Of a network that sees images."""
    torch.manual_seed(0)
    return Embedder(Backbone("wide", Wide(), LITE0, torch.device("cpu")))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Noise, with a mask whose left half does not count."""
    rng = np.random.default_rng(0)
    made = rng.integers(0, 256, size=(12, 4, SIDE_PX, SIDE_PX), dtype=np.uint8)
    made[:, 3] = np.arange(SIDE_PX) >= SIDE_PX // 2
    return list(made)


def learned(
    embedder: Embedder,
    pictures: Sequence[np.ndarray],
    scorer: str = "gaussian",
    descriptor: str = "",
    **options: Any,
) -> Detector:
    spec = Spec("a", "wide", embedder.fingerprint, scorer, descriptor, options=Options(**options))
    empty = Detector(spec)
    return empty.learn(empty.statistics_of(embedder.embed(pictures)), extend=False)


@pytest.mark.parametrize("asked", [{"descriptor": "squeeze"}, {"blocks": ("block",)}], ids=str)
def test_outside_of_a_mask_nothing_has_a_share(
    embedder: Embedder, pictures: list[np.ndarray], asked: dict[str, Any]
) -> None:
    """Law: what does not count has 0, the rest the whole score; of the chosen blocks alone."""
    detector = learned(embedder, pictures, **asked)

    found = places.shares(detector, embedder, pictures[0])

    assert list(found) == list(asked.get("blocks", ("wide", "block")))
    for part in found.values():
        outside = part.shape[1] // 2  # of an odd number of columns: all left of the middle one
        np.testing.assert_array_equal(part[:, :outside], 0)
        assert part.any()
    score = detector.scores(embedder.embed(pictures[:1]))[0]
    assert sum(part.sum() for part in found.values()) == pytest.approx(score, rel=1e-9)


@pytest.mark.parametrize(
    ("scorer", "descriptor", "normalise", "why"),
    [
        ("regional", "regional", "none", "descriptor 'regional'"),
        ("kl", "regional", "none", "descriptor 'regional'"),
        ("fusion", "squeeze", "none", "scorer 'fusion'"),
        ("gaussian", "gate", "none", "'gate' .* use .* descriptor squeeze_stats or squeeze"),
        ("prototype", "gate_logit", "none", "descriptor 'gate_logit'"),
        ("gaussian", "squeeze", "l2", "'l2' .* use .* normalise 'none' or 'zscore'"),
        ("gaussian", "squeeze_stats", "none", "of wide are wider than 512 .*, or descriptor sq"),
    ],
)
def test_scores_that_come_from_no_place(
    embedder: Embedder,
    pictures: list[np.ndarray],
    scorer: str,
    descriptor: str,
    normalise: str,
    why: str,
) -> None:
    """Contract: refused, with what is in the way and what to use."""
    detector = learned(embedder, pictures, scorer, descriptor, normalise=normalise)

    with pytest.raises(NoMapError, match=why):
        places.shares(detector, embedder, pictures[0])


def test_means_that_are_too_wide(
    embedder: Embedder, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the way out is not one that was taken already."""
    monkeypatch.setattr(places, "MAX_WIDTH", 100)
    detector = learned(embedder, pictures, descriptor="squeeze")

    with pytest.raises(NoMapError, match=r"use other blocks \(option 'blocks'\)$"):
        places.shares(detector, embedder, pictures[0])


def test_an_empty_detector_says_so(embedder: Embedder, pictures: list[np.ndarray]) -> None:
    """Contract: whatever its scorer is."""
    for scorer in ("gaussian", "kl"):
        with pytest.raises(NotFittedError):
            places.shares(Detector(Spec("a", "b", "f", scorer)), embedder, pictures[0])


def test_an_engine_without_maps_is_a_backbone_error(
    embedder: Embedder, pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: what the models refuse has its name in the domain."""

    def refuses(_sample: np.ndarray) -> Any:
        raise PrecisionError("shows no maps")

    detector = learned(embedder, pictures, descriptor="squeeze")
    monkeypatch.setattr(embedder._backbone, "maps", refuses)

    with pytest.raises(BackboneError, match="shows no maps"):
        places.shares(detector, embedder, pictures[0])
