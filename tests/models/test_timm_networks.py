"""timm's networks as backbones: saved and loaded again, with their own preprocessing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from models.backbone import Backbone, build
from models.taps import Tapped
from models.timm_networks import create

Crops = Callable[[int, int], NDArray[np.uint8]]
FIELDS = ("gate", "mean", "std", "maximum")
CPU = torch.device("cpu")
SMALL = "mobilenetv3_small_050"


def save(tensors: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


def weights_of(name: str, seed: int = 0, **options: object) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    state: dict[str, Tensor] = timm.create_model(name, **options).state_dict()
    return state


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    """Random weights of a small network."""
    return save(weights_of(SMALL), tmp_path / "small.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("efficientnet_b0", 16),
        ("mobilenetv3_large_100", 8),
        ("seresnet50", 16),
        ("regnety_016", 27),
    ],
)
def test_saved_network_is_the_same_backbone(
    name: str, blocks: int, suffix: str, tmp_path: Path, crops: Crops
) -> None:
    """Law: built by name from a file = the network that was saved, on timm's own normalisation."""
    torch.manual_seed(0)
    network = timm.create_model(name).eval()
    path = save(network.state_dict(), tmp_path / f"network{suffix}")
    pixels = torch.from_numpy(crops(2, 70)).permute(0, 3, 1, 2)
    mean, std = (
        torch.tensor(network.pretrained_cfg[key])[:, None, None] for key in ("mean", "std")
    )
    with torch.inference_mode():
        expected = Tapped(network)((pixels / 255 - mean) / std).blocks

    built = build(f"timm:{name}", CPU, weights=path)
    actual = built.embed(list(pixels.numpy())).blocks

    assert built.name == f"timm:{name}"
    assert list(actual) == list(expected) == list(built.channels)
    assert len(actual) == blocks
    for block, tap in actual.items():
        for field in FIELDS:
            values, wanted = getattr(tap, field), getattr(expected[block], field)
            tolerance = 1e-4 * max(1.0, float(wanted.abs().max()))
            torch.testing.assert_close(values, wanted, rtol=0, atol=tolerance)


def test_batch_equals_alone(small_file: Path, crops: Crops) -> None:
    """Law: an image's taps do not depend on its company; any side will do."""
    built = build(f"timm:{SMALL}", CPU, small_file)
    pixels = torch.from_numpy(crops(3, 65)).permute(0, 3, 1, 2)

    together = built.embed(list(pixels.numpy())).blocks
    alone = [built.embed(list(pixels[i : i + 1].numpy())).blocks for i in range(3)]

    for block, tap in together.items():
        for field in FIELDS:
            wanted = getattr(tap, field)
            values = torch.cat([getattr(taps[block], field) for taps in alone])
            tolerance = 1e-5 * max(1.0, float(wanted.abs().max()))
            torch.testing.assert_close(values, wanted, rtol=0, atol=tolerance)


def test_fingerprint_is_of_weights_name_and_preprocessing(tmp_path: Path) -> None:
    """Law: the file's format and its classifier do not enter it; all that decides the taps does."""
    first, second = weights_of(SMALL), weights_of(SMALL, seed=1)
    files = {
        "safetensors": save(first, tmp_path / "a.safetensors"),
        "pth": save(first, tmp_path / "b.pth"),
        "no classifier": save(
            {k: v for k, v in first.items() if not k.startswith("classifier.")}, tmp_path / "c.pt"
        ),
        "other classes": save(
            {**first, "classifier.weight": torch.ones(3, 1024), "classifier.bias": torch.ones(3)},
            tmp_path / "d.safetensors",
        ),
    }
    other = save(second, tmp_path / "e.safetensors")

    same = {build(f"timm:{SMALL}", CPU, file).fingerprint for file in files.values()}
    network, preprocessing = create(SMALL, files["pth"])
    changed = replace(preprocessing, interpolation="bilinear")
    different = [
        build(f"timm:{SMALL}", CPU, other).fingerprint,
        Backbone(f"timm:{SMALL}", network, changed, CPU).fingerprint,
        Backbone("timm:other", network, preprocessing, CPU).fingerprint,
    ]

    assert len(same) == 1
    assert len({*same, *different}) == 4


@pytest.mark.parametrize(
    ("name", "mean", "deviation", "interpolation"),
    [
        ("seresnet50", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "bicubic"),
        ("hardcorenas_b", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "bilinear"),
        (
            "tf_efficientnetv2_b0.in1k",
            (123.675, 116.28, 103.53),
            (58.395, 57.12, 57.375),
            "bicubic",
        ),
        ("test_nfnet", (127.5, 127.5, 127.5), (127.5, 127.5, 127.5), "bicubic"),
    ],
)
def test_preprocessing_is_the_network_s_own(
    name: str,
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    interpolation: str,
    tmp_path: Path,
) -> None:
    """Reference: the published means and deviations, times 255."""
    _, actual = create(name, save(weights_of(name), tmp_path / "weights.safetensors"))

    np.testing.assert_allclose(actual.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(actual.deviation, deviation, rtol=1e-12)
    assert actual.interpolation == interpolation


def test_hub_s_weights_are_taken_where_no_file_is_given(
    monkeypatch: pytest.MonkeyPatch, small_file: Path, crops: Crops
) -> None:
    """Contract: without a file ``pretrained=True`` is asked for; the backbone is that network."""
    make, asked = timm.create_model, []

    def fetched(name: str, *, pretrained: bool, num_classes: int) -> torch.nn.Module:
        asked.append(pretrained)
        torch.manual_seed(0)
        network: torch.nn.Module = make(name, num_classes=num_classes)
        if pretrained:
            network.load_state_dict(create(name, small_file)[0].state_dict())
        return network

    expected = build(f"timm:{SMALL}", CPU, small_file).fingerprint
    monkeypatch.setattr(timm, "create_model", fetched)

    assert build(f"timm:{SMALL}", CPU).fingerprint == expected
    assert True in asked
