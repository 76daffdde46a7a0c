"""Taps by region, and what a call leaves behind."""

import gc
import weakref
from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models import pooling, regions
from models.preprocess import LITE0
from models.se_lite0 import SeLite0
from models.squeeze_excite import SqueezeExcite
from models.taps import Tap, Tapped

Crops = Callable[[int, int], NDArray[np.uint8]]
FIELDS = ("gate", "mean", "std", "maximum")


def to_input(images: NDArray[np.uint8]) -> Tensor:
    return LITE0.normalise(torch.from_numpy(images).permute(0, 3, 1, 2))


def run(tapped: Tapped, x: Tensor) -> dict[str, Tap]:
    with torch.inference_mode():
        return tapped(x).blocks


@pytest.mark.parametrize("side_px", [64, 256])
def test_regional_taps_are_the_cells_of_the_ends_of_stages(
    gated: SeLite0, crops: Crops, side_px: int
) -> None:
    """Reference: the network walked block by block; outputs of the last of each shape to 1/16."""
    x = to_input(crops(2, side_px))
    ends: dict[tuple[int, ...], tuple[str, Tensor]] = {}
    with torch.inference_mode():
        y = gated.stem(x)
        for index, block in enumerate(gated.blocks):
            y = block(y)
            if y.shape[2] >= side_px // 16 and y.shape[2] <= side_px // 4:
                ends[y.shape[1:]] = (f"blocks.{index}", y)
        taps = Tapped(deepcopy(gated))(x)

    assert list(taps.regional) == [name for name, _ in ends.values()]
    assert len(ends) == 4
    for name, end in ends.values():
        expected = regions.cells(end, None)
        assert taps.regional[name].shape == (2, 256, end.shape[1])
        torch.testing.assert_close(taps.regional[name], expected, rtol=1e-4, atol=1e-4)


class Tiny(nn.Module):
    """One SE block in a residual block of stride 4, whose output is kept by region."""

    def __init__(self) -> None:
        super().__init__()
        self.residual = Residual()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.residual(functional.avg_pool2d(x, 4))
        return y


class Residual(nn.Module):
    """x + gate(x) * x."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = SqueezeExcite(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.gate(x)
        return y


def test_regional_taps_are_of_the_output_after_the_skip(crops: Crops) -> None:
    """Reference: the residual block run by hand; its name is the tap's."""
    network, x = Tiny(), to_input(crops(2, 64))

    with torch.inference_mode():
        taps = Tapped(network)(x)
        expected = regions.cells(network.residual(functional.avg_pool2d(x, 4)), None)

    assert list(taps.regional) == list(taps.blocks) == ["residual"]
    torch.testing.assert_close(taps.regional["residual"], expected)


def test_weights_reach_statistics_and_cells(crops: Crops) -> None:
    """Reference: ``models.regions`` of the block's input and output under the same weights."""
    network, x = Tiny(), to_input(crops(2, 64))
    weights = torch.zeros(2, 1, 64, 64)
    weights[:, :, 10:30, 20:50] = torch.rand(20, 30, generator=torch.manual_seed(0))

    with torch.inference_mode():
        taps = Tapped(network)(x, weights=weights)
        inner = functional.avg_pool2d(x, 4)
        at_size = regions.at_size(weights, *inner.shape[2:])
        expected = pooling.statistics(inner, at_size)
        cells = regions.cells(network.residual(inner), weights)

    tap = taps.blocks["residual"]
    for actual, wanted in zip((tap.mean, tap.std, tap.maximum), expected, strict=True):
        torch.testing.assert_close(actual, wanted)
    torch.testing.assert_close(taps.regional["residual"], cells, equal_nan=True)
    assert 0 < int(torch.isnan(cells[:, :, 0]).sum()) < cells[:, :, 0].numel()


def test_weights_of_one_call_are_not_those_of_the_next(crops: Crops) -> None:
    """Law: a call without weights after one with them = a call without."""
    tapped, x = Tapped(Tiny()), to_input(crops(2, 64))
    weights = torch.zeros(2, 1, 64, 64)
    weights[:, :, :9] = 1
    with torch.inference_mode():
        expected = tapped(x)
        tapped(x, weights=weights)
        again = tapped(x)

    assert torch.equal(again.blocks["residual"].mean, expected.blocks["residual"].mean)
    assert torch.equal(again.regional["residual"], expected.regional["residual"])


class Fragile(nn.Module):
    """An SE block, then a step that fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = SqueezeExcite(3, 1)
        self.fails = False

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.gate(x)
        if self.fails:
            raise RuntimeError("out of memory")
        return y


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_kept_after_a_call(crops: Crops, fails: bool) -> None:
    """Law: whether the network returns or raises, its feature maps are released at once."""
    network = Fragile()
    tapped = Tapped(network)
    network.fails = fails
    x = to_input(crops(2, 16))
    memory = weakref.ref(x)

    raised = False
    try:
        run(tapped, x)
    except RuntimeError:
        raised = True
    del x
    gc.collect()

    assert raised == fails
    assert memory() is None


def test_a_failed_call_leaves_no_trace(crops: Crops) -> None:
    """Law: after an error the next call gives what a fresh network gives."""
    network, x = Fragile(), to_input(crops(2, 16))
    expected = run(Tapped(deepcopy(network)), x)
    tapped = Tapped(network)
    network.fails = True
    with pytest.raises(RuntimeError, match="out of memory"):
        run(tapped, to_input(crops(5, 24)))
    network.fails = False

    actual = run(tapped, x)

    assert list(actual) == list(expected) == ["gate"]
    for name in expected:
        for field in FIELDS:
            assert torch.equal(getattr(actual[name], field), getattr(expected[name], field))
