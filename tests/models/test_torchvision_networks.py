"""torchvision's networks as backbones: from a file to taps, without torchvision."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import get_model_weights
from torchvision_helpers import drawn

import models
from detector.embedder import Embedder
from detector.errors import BackboneError
from models import backbone
from models.backbone import build
from models.checkpoints import WeightsError
from models.families.torchvision_weights import NETWORKS
from models.taps import Tapped
from models.torchvision_networks import BACKBONES, create

Crops = Callable[[int, int], NDArray[np.uint8]]
CPU = torch.device("cpu")
SMALL = "mobilenet_v3_small"


def save(tensors: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize(
    ("name", "suffix", "blocks"),
    [
        ("efficientnet_b0", ".pth", 16),
        ("efficientnet_b1", ".safetensors", 23),
        ("mobilenet_v3_large", ".pth", 8),
        (SMALL, ".safetensors", 9),
    ],
)
def test_backbone_from_a_file_is_torchvision_s_network(
    name: str, suffix: str, blocks: int, tmp_path: Path, crops: Crops
) -> None:
    """Reference: taps of torchvision's own network on its own normalisation; 1e-4 of the scale."""
    network = drawn(name)
    path = save(network.state_dict(), tmp_path / f"weights{suffix}")
    pixels = torch.from_numpy(crops(2, 70)).permute(0, 3, 1, 2)
    transforms = get_model_weights(name).DEFAULT.transforms()
    mean, std = (torch.tensor(v)[:, None, None] for v in (transforms.mean, transforms.std))
    with torch.inference_mode():
        expected = Tapped(network)((pixels / 255 - mean) / std)

    built = build(name.replace("_", "-"), CPU, path)
    actual = built.embed(list(pixels.numpy()))

    assert built.name == name.replace("_", "-")
    assert list(actual.blocks) == list(built.channels)
    assert len(actual.blocks) == blocks
    for tap, wanted in zip(actual.blocks.values(), expected.blocks.values(), strict=True):
        for field in ("gate", "mean", "std", "maximum"):
            value, other = getattr(tap, field), getattr(wanted, field)
            torch.testing.assert_close(
                value, other, rtol=0, atol=1e-4 * max(1.0, float(other.abs().max()))
            )
    assert len(actual.regional) == len(expected.regional) > 0
    for value, other in zip(actual.regional.values(), expected.regional.values(), strict=True):
        torch.testing.assert_close(value, other, rtol=0, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize("name", NETWORKS)
def test_pictures_are_prepared_as_torchvision_s_default_weights_want_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reference: the transforms of torchvision's default weights, in grey levels."""
    monkeypatch.setattr("models.torchvision_networks.read_tensors", lambda _: {})
    monkeypatch.setattr("models.torchvision_networks.from_torchvision", lambda *_: None)
    expected = get_model_weights(name).DEFAULT.transforms()

    with torch.device("meta"):
        _, preprocessing = create(name, Path("unread.pth"))

    assert preprocessing.mean == pytest.approx([255 * v for v in expected.mean])
    assert preprocessing.deviation == pytest.approx([255 * v for v in expected.std])
    assert preprocessing.interpolation == expected.interpolation.value


def test_the_classifier_does_not_matter(tmp_path: Path) -> None:
    """Law: of 1000 classes, of seven, or none: one backbone; any other tensor makes another."""
    states = [drawn(SMALL, num_classes=classes).state_dict() for classes in (1000, 7)]
    trunk = {k: v for k, v in states[0].items() if not k.startswith("classifier.")}
    seven = {**trunk, **{k: v for k, v in states[1].items() if k.startswith("classifier.")}}
    other = {**trunk, "features.0.0.weight": trunk["features.0.0.weight"] + 1e-6}
    contents = {"all": states[0], "seven": seven, "none": trunk, "other": other}

    made = {
        name: build("mobilenet-v3-small", CPU, save(state, tmp_path / f"{name}.pth")).fingerprint
        for name, state in contents.items()
    }

    assert made["all"] == made["seven"] == made["none"] != made["other"]


def test_there_is_one_backbone_for_each_network() -> None:
    """Contract: the names that the documentation gives."""
    expected = [
        *(f"efficientnet-b{i}" for i in range(8)),
        "mobilenet-v3-large",
        "mobilenet-v3-small",
    ]

    assert list(BACKBONES) == expected
    assert BACKBONES.items() <= backbone.BACKBONES.items()


@pytest.mark.parametrize("name", BACKBONES)
def test_a_file_is_needed(name: str) -> None:
    """Contract: the message says which file, how it is named to us, and is the service's error."""
    theirs = name.replace("-", "_")
    wanted = rf"'{name}' comes without weights.*GATEWATCH_WEIGHTS.*torchvision's {theirs} as"
    with pytest.raises(WeightsError, match=wanted):
        build(name, CPU)
    with pytest.raises(BackboneError, match=wanted):
        Embedder.load(name, "cpu")


def test_another_network_s_file_is_refused(tmp_path: Path) -> None:
    """Contract: the file is named; so is one that is no state dict."""
    path = save(drawn(SMALL).state_dict(), tmp_path / "small.pth")

    with pytest.raises(WeightsError, match=r"small\.pth does not fit MobileNetV3"):
        build("mobilenet-v3-large", CPU, path)
    torch.save(torch.ones(2), path)
    with pytest.raises(WeightsError, match="holds no named tensors"):
        build("mobilenet-v3-small", CPU, path)


def test_torchvision_is_not_needed() -> None:
    """Contract: nothing in models imports it, for it is no dependency of ours."""
    sources = list(Path(models.__file__).parent.rglob("*.py"))

    assert len(sources) > 20
    for source in sources:
        assert not re.search(r"^\s*(import|from) torchvision", source.read_text(), re.M), source


def test_the_detector_s_embedder_drives_it(tmp_path: Path, crops: Crops) -> None:
    """Contract: prepared by its interpolation, embedded to gates in [0, 1] of every block."""
    path = save(drawn(SMALL).state_dict(), tmp_path / "small.safetensors")
    embedder = Embedder.load("mobilenet-v3-small", "cpu", weights=path)

    embedding = embedder.embed([embedder.prepare(image, 64) for image in crops(3, 80)])

    assert len(embedding) == 3
    assert list(embedding.gate) == list(embedder.channels)
    assert all(((gate >= 0) & (gate <= 1)).all() for gate in embedding.gate.values())
