"""The backbone: its fingerprint, its registry and what it makes of pixels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from numpy.typing import NDArray
from torch import nn

from models import backbone, preprocess
from models.backbone import Backbone, UnknownBackboneError, build
from models.checkpoints import WeightsError, save_gates
from models.preprocess import LITE0, Preprocessing
from models.se_lite0 import SeLite0, se_lite0
from models.squeeze_excite import SqueezeExcite
from models.taps import Tapped

Crops = Callable[[int, int], NDArray[np.uint8]]
CPU = torch.device("cpu")


def small() -> nn.Sequential:
    """A small SE network, the same every time."""
    torch.manual_seed(5)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), SqueezeExcite(8, 2))


def fingerprint(
    network: nn.Module, name: str = "small", preprocessing: Preprocessing = LITE0
) -> str:
    return Backbone(name, network, preprocessing, CPU).fingerprint


def test_fingerprint_is_stable() -> None:
    """Law: the same name and weights give the same 64 hexadecimal digits, memory layout apart."""
    expected = fingerprint(small())

    assert len(expected) == 64
    assert set(expected) <= set("0123456789abcdef")
    assert fingerprint(small()) == expected
    assert fingerprint(small().to(memory_format=torch.channels_last)) == expected
    assert fingerprint(small().train()) == expected


def test_shipped_backbone_has_one_fingerprint() -> None:
    """Law: building twice gives the same fingerprint."""
    assert build("se-lite0", CPU).fingerprint == build("se-lite0", CPU).fingerprint


@pytest.mark.parametrize("key", sorted(small().state_dict()))
def test_fingerprint_changes_with_one_weight(key: str) -> None:
    """Law: the last bit of one number, in any tensor or buffer, changes the fingerprint."""
    network = small()
    values = network.state_dict()[key].view(-1)
    if values.dtype.is_floating_point:
        values[-1] = torch.nextafter(values[-1], torch.tensor(torch.inf))
    else:
        values[-1] += 1

    assert fingerprint(network) != fingerprint(small())


def test_fingerprint_changes_with_name_preprocessing_and_gates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Law: what decides the taps enters the fingerprint."""
    seen = [fingerprint(small()), fingerprint(small(), name="other")]
    monkeypatch.setattr(preprocess, "VERSION", "nearest-1")
    seen.append(fingerprint(small()))
    monkeypatch.undo()
    other = (127.0, 127.0, 126.0)
    for change in ({"mean": other}, {"deviation": other}, {"interpolation": "bicubic"}):
        seen.append(fingerprint(small(), preprocessing=replace(LITE0, **change)))
    seen += [fingerprint(se_lite0(trained=trained), "se-lite0") for trained in (False, True)]

    assert len(set(seen)) == len(seen)


def test_gates_of_one_s_own_replace_those_shipped(tmp_path: Path, crops: Crops) -> None:
    """Contract: ``weights`` of se-lite0 is a file of gates; it needs no digest beside it."""
    path = tmp_path / "mine.safetensors"
    save_gates(se_lite0(trained=False), path, {})
    path.with_suffix(".sha256").unlink()
    pixels = torch.from_numpy(crops(2, 64)).permute(0, 3, 1, 2)

    mine = build("se-lite0", CPU, path)

    assert mine.fingerprint != build("se-lite0", CPU).fingerprint
    assert mine.preprocessing == LITE0
    assert all(
        float((tap.gate - 0.5).abs().max()) == 0
        for tap in mine.embed(list(pixels.numpy())).blocks.values()
    )


def test_unknown_name_lists_those_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the error names what was asked for and every backbone there is."""
    monkeypatch.setitem(backbone.BACKBONES, "a-small-one", lambda _: (small(), LITE0))

    with pytest.raises(
        UnknownBackboneError,
        match=r"no backbone 'se-lite9'; there is: a-small-one, se-lite0, timm:<a network of timm>",
    ):
        build("se-lite9", CPU)


def test_broken_weights_are_the_caller_s_to_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: an error of the weights passes through ``build``."""

    def broken(_weights: Path | None) -> tuple[nn.Module, Preprocessing]:
        raise WeightsError("the file is gone")

    monkeypatch.setitem(backbone.BACKBONES, "broken", broken)

    with pytest.raises(WeightsError, match="the file is gone"):
        build("broken", CPU)


def test_embed_taps_normalised_pixels(gated: SeLite0, crops: Crops) -> None:
    """Reference: taps of the same network on (pixels - 127) / 128; 1e-4 for the memory layout."""
    pixels = torch.from_numpy(crops(4, 64)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = Tapped(se_lite0())((pixels.float() - 127) / 128).blocks

    taps = Backbone("se-lite0", se_lite0().train(), LITE0, CPU).embed(list(pixels.numpy()))
    actual = taps.blocks

    assert list(actual) == list(expected)
    for name in expected:
        for field in ("gate", "mean", "std", "maximum"):
            values, wanted = getattr(actual[name], field), getattr(expected[name], field)
            assert values.dtype == torch.float32
            assert not values.requires_grad
            torch.testing.assert_close(values, wanted, rtol=1e-4, atol=1e-4)
    assert {cells.shape[:2] for cells in taps.regional.values()} == {(4, 256)}


def test_embed_sees_nothing_where_the_fourth_channel_is_zero(crops: Crops) -> None:
    """Reference: taps of mid-grey there, under the weights; what was there has no influence."""
    pixels = torch.from_numpy(crops(2, 64)).permute(0, 3, 1, 2)
    weights = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    weights[:, :, 8:40, 16:64] = 200
    masked, backbone_ = torch.cat([pixels, weights], dim=1), build("se-lite0", CPU)
    with torch.inference_mode():
        x = (pixels.float() - 127) / 128 * (weights > 0)
        expected = Tapped(se_lite0())(x, weights=weights.float())
    other = torch.where(weights > 0, pixels, 255 - pixels)

    for taps in (
        backbone_.embed(list(masked.numpy())),
        backbone_.embed(list(torch.cat([other, weights], dim=1).numpy())),
    ):
        for name, tap in expected.blocks.items():
            for field in ("gate", "mean", "std", "maximum"):
                values, wanted = getattr(taps.blocks[name], field), getattr(tap, field)
                torch.testing.assert_close(values, wanted, rtol=1e-4, atol=1e-4)
        for name, cells in expected.regional.items():
            torch.testing.assert_close(
                taps.regional[name], cells, rtol=1e-4, atol=1e-4, equal_nan=True
            )


def test_embed_refuses_what_is_not_prepared() -> None:
    """Contract: under the shape checker pixels are uint8, square and of three channels."""
    small_backbone = Backbone("small", small(), LITE0, CPU)
    for pixels in (
        torch.zeros(1, 3, 8, 8),
        torch.zeros(1, 3, 8, 9, dtype=torch.uint8),
        torch.zeros(1, 1, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 8, 8, dtype=torch.uint8),
    ):
        with pytest.raises(TypeCheckError):
            small_backbone.embed(list(pixels.numpy()))
