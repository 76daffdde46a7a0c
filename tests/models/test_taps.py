"""The taps against a recomputation that uses no hooks."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.lite0 import STAGES, Lite0
from models.preprocess import LITE0
from models.se_lite0 import SeLite0
from models.squeeze_excite import SqueezeExcite
from models.taps import Tap, Tapped

Images = NDArray[np.uint8]
Crops = Callable[[int, int], Images]
FIELDS = ("gate", "mean", "std", "maximum")


def to_input(images: Images) -> Tensor:
    return LITE0.normalise(torch.from_numpy(images).permute(0, 3, 1, 2))


@pytest.fixture(scope="module")
def tapped(gated: SeLite0) -> Tapped:
    """The shipped network with taps; its own copy, so that others stay free of hooks."""
    return Tapped(deepcopy(gated))


def run(tapped: Tapped, x: Tensor) -> dict[str, Tap]:
    with torch.inference_mode():
        return tapped(x).blocks


def naive_taps(network: Lite0, x: Tensor) -> dict[str, dict[str, NDArray[np.float64]]]:
    """The taps by walking the blocks by hand; statistics and gates in NumPy, float64."""
    taps = {}
    x = network.stem(x)
    for index, block in enumerate(network.blocks):
        parts = dict(block.named_children())
        branch = parts["project"](parts["depthwise"](parts["expand"](x)))
        w = {k: v.double().numpy() for k, v in parts["gate"].state_dict().items()}
        rows = branch.double().numpy().reshape(*branch.shape[:2], -1)
        mean = rows.mean(axis=2)
        z = (mean - w["excite.mean"]) / w["excite.deviation"]
        hidden = np.maximum(z @ w["excite.reduce.weight"].T + w["excite.reduce.bias"], 0)
        logit = hidden @ w["excite.expand.weight"].T + w["excite.expand.bias"]
        gate = 1 / (1 + np.exp(-logit))
        std = np.sqrt(((rows - mean[:, :, None]) ** 2).mean(axis=2))
        taps[f"blocks.{index}"] = {
            "gate": gate,
            "mean": mean,
            "std": std,
            "maximum": rows.max(axis=2),
        }
        scaled = branch * torch.from_numpy(2 * gate).float()[:, :, None, None]
        x = x + scaled if scaled.shape == x.shape else scaled
    return taps


@pytest.mark.parametrize("side_px", [96, 65])
def test_taps_equal_naive_recomputation(
    gated: SeLite0, tapped: Tapped, crops: Crops, side_px: int
) -> None:
    """Reference: the network walked block by block, float64; 1e-4 of the range."""
    x = to_input(crops(4, side_px))
    with torch.inference_mode():
        expected = naive_taps(gated, x)

    actual = run(tapped, x)

    assert list(actual) == list(expected)
    for name, tap in actual.items():
        for field in FIELDS:
            values, wanted = getattr(tap, field).numpy(), expected[name][field]
            tolerance = 1e-4 * max(1.0, float(np.abs(wanted).max()))
            np.testing.assert_allclose(values, wanted, rtol=0, atol=tolerance, err_msg=name)


def test_taps_come_in_the_order_of_the_blocks(tapped: Tapped, crops: Crops) -> None:
    """Contract: one tap per block, first to last, with the channels of its stage."""
    channels = [stage.channels for stage in STAGES for _ in range(stage.blocks)]
    expected = {f"blocks.{index}": count for index, count in enumerate(channels)}

    taps = run(tapped, to_input(crops(3, 64)))

    assert list(tapped.channels.items()) == list(expected.items())
    assert [(name, tap.mean.shape[1]) for name, tap in taps.items()] == list(expected.items())
    assert all(getattr(t, f).shape[0] == 3 for t in taps.values() for f in FIELDS)


class Backwards(nn.Module):
    """Registers its blocks in one order and runs them in the other."""

    def __init__(self) -> None:
        super().__init__()
        self.last = SqueezeExcite(3, 1)
        self.first = SqueezeExcite(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.first(x))
        return y


def test_a_tap_belongs_to_its_block_whatever_the_order(crops: Crops) -> None:
    """Law: names follow the run, not the registration, when the two differ."""
    network, x = Backwards(), to_input(crops(2, 16))

    taps = run(Tapped(network), x)

    assert list(taps) == ["first", "last"]
    torch.testing.assert_close(taps["first"].mean, x.mean(dim=(2, 3)))
    torch.testing.assert_close(taps["last"].mean, network.first(x).mean(dim=(2, 3)).detach())


class Twice(nn.Module):
    """Runs its one block twice."""

    def __init__(self) -> None:
        super().__init__()
        self.block = SqueezeExcite(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(self.block(x))
        return y


def test_block_that_runs_twice_is_refused(crops: Crops) -> None:
    """Contract: two runs of one block are no tap of either."""
    with pytest.raises(ValueError, match="did not run exactly once: block"):
        run(Tapped(Twice()), to_input(crops(2, 16)))


class Overwriting(nn.Module):
    """Overwrites a block's input after the block has run, as networks do to save memory."""

    def __init__(self) -> None:
        super().__init__()
        self.block = SqueezeExcite(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        x.zero_()
        return y


def test_statistics_are_of_what_the_block_saw(crops: Crops) -> None:
    """Law: what becomes of the feature map afterwards does not matter."""
    x = to_input(crops(2, 16))
    expected = x.mean(dim=(2, 3))

    tap = run(Tapped(Overwriting()), x)["block"]

    torch.testing.assert_close(tap.mean, expected)
    assert float(expected.abs().min()) > 0


class WithHead(nn.Module):
    """Has features and a head, in timm's way."""

    def __init__(self) -> None:
        super().__init__()
        self.block = SqueezeExcite(3, 1)

    def forward_features(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y

    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the head has no part in the taps")


def test_head_is_not_run_where_features_can_be_had_alone(crops: Crops) -> None:
    """Contract: ``forward_features`` is taken where there is one."""
    assert list(run(Tapped(WithHead()), to_input(crops(2, 16)))) == ["block"]


@pytest.mark.parametrize("network", [nn.Conv2d(3, 3, 1), Lite0()], ids=["Conv2d", "Lite0"])
def test_network_without_blocks_is_refused(network: nn.Module) -> None:
    """Contract: nothing to tap is an error that names the network."""
    with pytest.raises(ValueError, match=f"{type(network).__name__} has no Squeeze-and-Excitation"):
        Tapped(network)


def test_two_calls_are_independent(tapped: Tapped, crops: Crops) -> None:
    """Law: a call's taps depend on its images alone and are not overwritten by the next call."""
    x, other = to_input(crops(2, 64)), to_input(crops(3, 48))
    first = run(tapped, x)
    kept = {name: tap.gate.clone() for name, tap in first.items()}

    run(tapped, other)
    again = run(tapped, x)

    for name in first:
        assert torch.equal(first[name].gate, kept[name])
        for field in FIELDS:
            assert torch.equal(getattr(again[name], field), getattr(first[name], field))


def test_batch_equals_alone(tapped: Tapped, crops: Crops) -> None:
    """Law: an image's taps do not depend on its company; 1e-5 of each block's range."""
    x = to_input(crops(4, 64))
    together = run(tapped, x)
    for index in range(len(x)):
        alone = run(tapped, x[index : index + 1])
        for name in together:
            for field in FIELDS:
                values, wanted = getattr(alone[name], field)[0], getattr(together[name], field)
                tolerance = 1e-5 * max(1.0, float(wanted.abs().max()))
                torch.testing.assert_close(values, wanted[index], rtol=0, atol=tolerance)


def test_taps_do_not_change_the_network(gated: SeLite0, tapped: Tapped, crops: Crops) -> None:
    """Law: a tapped network returns what the untapped one returns."""
    x = to_input(crops(2, 64))
    with torch.inference_mode():
        assert torch.equal(tapped.network(x), gated(x))


def test_constant_maps_have_no_spread() -> None:
    """Reference: on a constant map std is 0 and mean and maximum are the constant."""
    tap = run(Tapped(nn.Sequential(SqueezeExcite(3, 1))), torch.full((1, 3, 4, 4), 2.5))["0"]

    assert torch.equal(tap.std, torch.zeros(1, 3))
    assert torch.equal(tap.mean, torch.full((1, 3), 2.5))
    assert torch.equal(tap.maximum, tap.mean)
