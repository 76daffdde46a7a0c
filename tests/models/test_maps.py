"""Maps are what the blocks saw: taps can be made of them again, for every family of networks."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn

from models import pooling
from models.backbone import Backbone
from models.cuda_engine import CudaEngine
from models.engines import TorchEngine
from models.families import FAMILIES
from models.families.family import Family
from models.maps import BlockMap
from models.pooling import Packing
from models.precision import PrecisionError
from models.preprocess import LITE0
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped, Taps

CPU = torch.device("cpu")


class Shown:
    """A preparation that shows a network the same inputs whatever the sample is."""

    def __init__(self, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = inputs

    def blank(self) -> np.ndarray:
        return np.zeros(1)

    def inputs(
        self, _samples: Sequence[np.ndarray], _device: torch.device
    ) -> tuple[tuple[Tensor, ...], None]:
        return self._inputs, None

    def thumbnails(self, samples: Sequence[np.ndarray]) -> np.ndarray:
        return np.zeros((len(samples), 3, 1, 1), np.uint8)


class Small(nn.Module):
    """Two convolutions, each with a block; it overwrites what the first one saw."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 8, 3, 2, 1)
        self.gates = nn.ModuleList([SqueezeExcite(6, 2), SqueezeExcite(8, 2)])

    def forward(self, x: Tensor) -> Tensor:
        seen = self.first(x)
        y = self.gates[0](seen)
        seen.zero_()
        z: Tensor = self.gates[1](torch.relu(self.second(y)))
        return z


def picture(channels: int = 3) -> np.ndarray:
    """Noise; a fourth channel counts the right half alone."""
    made = np.random.default_rng(1).integers(0, 256, size=(channels, 32, 32), dtype=np.uint8)
    if channels == 4:
        made[3] = np.arange(32) >= 16
    return made


def assert_made_of(taps: Taps, maps: dict[str, BlockMap]) -> None:
    """Compare taps with the same statistics of the maps, in float64, without ``pooling``."""
    assert list(maps) == list(taps.blocks)
    for name, seen in maps.items():
        tap = taps.blocks[name]
        assert seen.x.dtype == np.float32
        assert seen.x.shape == (tap.mean.shape[1], *seen.share.shape)
        assert seen.share.min() >= 0
        assert seen.share.sum() == pytest.approx(1)
        x, w = seen.x.reshape(len(seen.x), -1).astype(np.float64), seen.share.reshape(-1)
        mean = x @ w
        std = np.sqrt((x - mean[:, None]) ** 2 @ w)
        for field, wanted in (("mean", mean), ("std", std), ("maximum", x[:, w > 0].max(axis=1))):
            actual = getattr(tap, field)[0].numpy()
            np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_taps_are_statistics_of_the_maps(family: Family) -> None:
    """Reference: mean, deviation and maximum made again; maps change nothing of the taps."""
    torch.manual_seed(0)
    shown = Shown(family.example(1))
    backbone = Backbone(family.name, family.build(), shown, CPU)
    sample = shown.blank()

    taps, maps = backbone.maps(sample)

    assert_made_of(taps, maps)
    for name, tap in backbone.embed([sample]).blocks.items():
        for field in ("gate", "mean", "std", "maximum"):
            assert torch.equal(getattr(tap, field), getattr(taps.blocks[name], field))


def test_a_map_is_kept_before_it_is_overwritten_and_only_inside_of_a_mask() -> None:
    """Law: what becomes of a map afterwards does not matter; a place outside has no share."""
    taps, maps = TorchEngine(Small(), LITE0, CPU).maps(picture(channels=4))

    assert_made_of(taps, maps)
    assert maps["gates.0"].x.any()
    np.testing.assert_array_equal(maps["gates.0"].share[:, :8], 0)
    assert (maps["gates.0"].share[:, 8:] > 0).all()


def test_maps_of_half_precision_are_full() -> None:
    """Contract: float32 whatever the network computed in; they are still what the taps are of."""
    taps, maps = TorchEngine(Small(), LITE0, CPU, "bfloat16").maps(picture())

    assert_made_of(taps, maps)


def test_the_engine_of_a_gpu_shows_the_same() -> None:
    """Contract: maps never come from a recorded pass."""
    wanted = TorchEngine(Small(), LITE0, CPU).maps(picture())[1]
    _, maps = CudaEngine(Small(), LITE0, CPU, recorder=lambda _: pytest.fail("recorded")).maps(
        picture()
    )

    for name, seen in wanted.items():
        np.testing.assert_array_equal(maps[name].x, seen.x)


def test_maps_and_batches_at_the_same_time() -> None:
    """Law: threads do not see each other's passes."""
    engine = TorchEngine(Small(), LITE0, CPU)
    wanted = engine.maps(picture())[1]["gates.1"].x

    def ask(turn: int) -> np.ndarray | None:
        if turn % 2:
            engine.embed([picture()[:, ::-1].copy()] * 3)
            return None
        return engine.maps(picture())[1]["gates.1"].x

    with ThreadPoolExecutor(4) as pool:
        for seen in pool.map(ask, range(24)):
            assert seen is None or np.array_equal(seen, wanted)


def test_nobody_watches_the_next_pass() -> None:
    """Law: neither after a pass nor after one that failed."""
    tapped, x, seen = Tapped(Small().eval()), torch.randn(1, 3, 16, 16), []

    def fails(_name: str, _x: Tensor, _where: object) -> None:
        seen.append(_name)
        raise RuntimeError("stop")

    with torch.inference_mode():
        with pytest.raises(RuntimeError, match="stop"):
            tapped(x, watch=fails)
        assert len(tapped(x).blocks) == 2
        tapped(x, watch=lambda name, _x, _where: seen.append(name))
        tapped(x)

    assert seen == ["gates.0", "gates.0", "gates.1"]


def test_other_engines_leave_maps_to_torch() -> None:
    """Contract: in float32; in bfloat16, where rows of two engines must not meet, it is refused."""
    backbone = Backbone("small", Small(), LITE0, CPU, engine="onnx", exports=False)
    assert_made_of(*backbone.maps(picture()))

    made: Any = Backbone("small", Small(), LITE0, CPU, precision="bfloat16")
    made.maps(picture())
    made.engine = SimpleNamespace(name="openvino")
    with pytest.raises(PrecisionError, match="'openvino' shows no maps in bfloat16"):
        made.maps(picture())


FINITE = st.floats(-1e6, 1e6, width=32)


@given(
    x=arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=2, max_dims=4, max_side=5).map(lambda shape: (1, *shape)),
        elements=FINITE,
    ),
    data=st.data(),
)
def test_a_map_has_the_statistics_of_pooling(x: np.ndarray, data: st.DataObject) -> None:
    """Reference: the mean by shares is pooling's, for any weights, places and values."""
    weights = data.draw(
        arrays.arrays(np.float32, (1, *x.shape[2:]), elements=st.floats(0, 100, width=32))
    )
    weights.flat[data.draw(st.integers(0, weights.size - 1))] = 1

    seen = BlockMap.of(torch.from_numpy(x), torch.from_numpy(weights))

    assert np.array_equal(seen.share > 0, weights[0] > 0)
    wanted = pooling.mean(torch.from_numpy(x).double(), torch.from_numpy(weights).double())[0]
    actual = (seen.x.astype(np.float64) * seen.share).reshape(x.shape[1], -1).sum(axis=1)
    np.testing.assert_allclose(actual, wanted, rtol=1e-9, atol=1e-6)
    plain = BlockMap.of(torch.from_numpy(x))
    np.testing.assert_allclose(plain.share, 1 / plain.share.size)


def test_nodes_of_a_packed_graph_are_places() -> None:
    """Contract: (n, c) becomes (c, n), all nodes alike; a copy."""
    x = torch.arange(6.0).reshape(3, 2)
    seen = BlockMap.of(x, Packing.of(torch.tensor([3]), 3))
    x.zero_()

    np.testing.assert_array_equal(seen.x, [[0, 2, 4], [1, 3, 5]])
    np.testing.assert_allclose(seen.share, [1 / 3] * 3)


def test_a_map_is_a_copy() -> None:
    """Law: what becomes of a dense input, and of its weights, does not matter either."""
    x, weights = torch.ones(1, 2, 4), torch.ones(1, 4)
    seen = BlockMap.of(x, weights)
    x.zero_(), weights.zero_()

    np.testing.assert_array_equal(seen.x, 1)
    np.testing.assert_array_equal(seen.share, 1 / 4)


@pytest.mark.parametrize(
    ("shape", "where"),
    [((2, 3, 4), None), ((5, 3), Packing.of(torch.tensor([2, 3]), 5)), ((0, 3, 4), None)],
)
def test_a_map_is_of_one_sample(shape: tuple[int, ...], where: pooling.Where) -> None:
    """Contract: a batch of several, or of none, is refused."""
    with pytest.raises(ValueError, match="a map is of one sample, got"):
        BlockMap.of(torch.zeros(shape), where)
