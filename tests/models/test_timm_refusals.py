"""What cannot be a backbone of timm's is refused, and the error says what to do."""

import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from torch import Tensor

from models.backbone import UnknownBackboneError, build
from models.checkpoints import WeightsError
from models.gate_finder import NoGatesError

CPU = torch.device("cpu")
SMALL = "mobilenetv3_small_050"


def without(key: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.pop(key)


KEY = "blocks.0.0.se.conv_reduce.weight"
CHANGES: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "missing": (without(KEY), rf"does not fit MobileNetV3: it lacks {KEY}$"),
    "stranger": (
        lambda tensors: tensors.update({"blocks.9.weight": torch.ones(1)}),
        r"does not fit MobileNetV3: it holds what the network has not: blocks\.9\.weight$",
    ),
    "misshapen": (
        lambda tensors: tensors.update({KEY: torch.ones(8, 8, 3, 3)}),
        rf"another network's weights: size mismatch for {KEY}",
    ),
    "empty": (lambda tensors: tensors.clear(), r"it lacks conv_stem\.weight, .* and \d+ more$"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_weights_that_do_not_fit_are_refused(change: str, tmp_path: Path) -> None:
    """Contract: the error names the file and what is amiss."""
    apply, match = CHANGES[change]
    tensors: dict[str, Tensor] = dict(timm.create_model(SMALL).state_dict())
    apply(tensors)
    path = tmp_path / "weights.pth"
    torch.save(tensors, path)

    with pytest.raises(WeightsError, match=rf"weights\.pth.*{match}"):
        build(f"timm:{SMALL}", CPU, path)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("absent.pth", None, "cannot read the weights"),
        ("absent.safetensors", None, "cannot read the weights"),
        ("damaged.pth", b"nothing", "holds no plain tensors, or is damaged"),
        ("empty.pt", b"", "holds no plain tensors, or is damaged"),
        ("damaged.safetensors", b"nothing", "is no safetensors file"),
        ("weights.onnx", b"", r"read from \.safetensors, \.pth and \.pt files"),
    ],
)
def test_files_that_hold_no_weights_are_refused(
    name: str, content: bytes | None, match: str, tmp_path: Path
) -> None:
    """Contract: with the file's name, whatever is in it."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(WeightsError, match=match) as caught:
        build(f"timm:{SMALL}", CPU, path)

    assert name in str(caught.value)


@pytest.mark.parametrize("content", [[torch.ones(1)], {"epoch": 3}, {1: torch.ones(1)}])
def test_other_things_than_named_tensors_are_refused(content: object, tmp_path: Path) -> None:
    """Contract: the error says what to save instead."""
    path = tmp_path / "checkpoint.pth"
    torch.save(content, path)

    with pytest.raises(WeightsError, match=r"checkpoint\.pth holds no named tensors: .*state_dict"):
        build(f"timm:{SMALL}", CPU, path)


def test_network_without_gates_is_refused_before_its_weights_are_read(tmp_path: Path) -> None:
    """Contract: no hub and no file is asked for a network that cannot serve."""
    for weights in (None, tmp_path / "absent.pth"):
        with pytest.raises(NoGatesError, match=r"ResNet has no Squeeze.*timm:seresnet50"):
            build("timm:resnet18", CPU, weights)


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("efficientnet_b00", "no network 'efficientnet_b00'; near it: efficientnet_b0"),
        ("", "no network ''"),
        ("hf-hub:someone/network", "no network 'hf-hub:someone/network'"),
        ("efficientnet_b0.nonsense", "cannot make .*tag"),
    ],
)
def test_unknown_networks_are_refused(name: str, match: str) -> None:
    """Contract: with what is near it, where there is such."""
    with pytest.raises(UnknownBackboneError, match=match):
        build(f"timm:{name}", CPU)


def test_missing_timm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the error says how to install it."""
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(UnknownBackboneError, match=r"pip install 'gatewatch\[timm\]'"):
        build(f"timm:{SMALL}", CPU)


def test_hub_out_of_reach_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Contract: without a file the hub is asked, never random weights; the error names the way."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(WeightsError, match=rf"fetch .*timm:{SMALL}.*hub.*GATEWATCH_WEIGHTS"):
        build(f"timm:{SMALL}", CPU)


def test_network_that_nobody_trained_is_refused() -> None:
    """Contract: timm has no weights for some of its networks; they need a file."""
    with pytest.raises(WeightsError, match=r"No pretrained weights exist.*GATEWATCH_WEIGHTS"):
        build("timm:seresnet18", CPU)
