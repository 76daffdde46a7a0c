"""Networks of the library timm as backbones: made by name, their weights from a file or its hub.

The classifier is left out: no tap depends on it, and a file of weights fits whatever the classes
it was trained on. timm gives mean and deviation as fractions of 255; sources: the data
configuration that every network of timm carries (``timm.data.resolve_data_config``).
"""

from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from models.checkpoints import WeightsError, load_strictly, read_tensors
from models.gate_finder import find_gates
from models.preprocess import Preprocessing

PREFIX = "timm:"


class UnknownBackboneError(Exception):
    """No backbone has this name, or what it needs is not installed; the message says which."""


def create(name: str, weights: Path | None = None) -> tuple[nn.Module, Preprocessing]:
    """Return timm's network of that name, with its weights, and its preprocessing.

    Args:
        name: as timm has it, with or without the tag of its weights: ``efficientnet_b0``,
            ``efficientnet_b0.ra_in1k``.
        weights: a file of the network's tensors; None takes those of timm's hub.

    Raises:
        UnknownBackboneError: if timm is not installed, has no such network, or trained it on
            images of a kind that we cannot prepare.
        NoGatesError: if the network has no SE block.
        WeightsError: if the weights cannot be read or fetched, or do not fit.
    """
    timm = _timm(name)
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models()) or ["see timm.list_models()"]
        raise UnknownBackboneError(f"timm has no network {name!r}; near it: {', '.join(near)}")
    network = _make(timm, name)
    find_gates(network)  # before any weights are read or fetched
    preprocessing = _preprocessing(timm, name, network)
    if weights is None:
        return _fetch(timm, name), preprocessing
    load_strictly(network, _without_classifier(network, read_tensors(weights)), weights)
    return network.eval(), preprocessing


def _timm(name: str) -> ModuleType:
    try:
        import timm
        import timm.data
    except ImportError as error:
        raise UnknownBackboneError(
            f"backbone '{PREFIX}{name}' needs timm: pip install 'gatewatch[timm]' ({error})"
        ) from error
    return timm


def _make(timm: ModuleType, name: str) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(name, pretrained=False, num_classes=0)
    except (RuntimeError, ValueError) as error:  # a tag that the network does not have
        raise UnknownBackboneError(f"timm cannot make {name!r}: {error}") from error
    return network


def _fetch(timm: ModuleType, name: str) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(name, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's client raises whatever the layers below it raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"cannot fetch the weights of '{PREFIX}{name}' from timm's hub: {reason} "
            "(or pass a local file of them: GATEWATCH_WEIGHTS)"
        ) from error
    return network.eval()


def _without_classifier(network: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the tensors under the classifier's top module that the network does without."""
    configuration: dict[str, Any] = network.pretrained_cfg  # type: ignore[assignment]
    names = configuration.get("classifier") or ()  # a name as head.fc, or several
    names = [names] if isinstance(names, str) else names
    tops = tuple(f"{name.partition('.')[0]}." for name in names)
    wanted = network.state_dict().keys()
    return {k: v for k, v in tensors.items() if k in wanted or not k.startswith(tops)}


def _preprocessing(timm: ModuleType, name: str, network: nn.Module) -> Preprocessing:
    data = timm.data.resolve_data_config({}, model=network)
    if data["interpolation"] not in ("bilinear", "bicubic") or data["input_size"][0] != 3:
        raise UnknownBackboneError(
            f"'{PREFIX}{name}' takes {data['input_size'][0]} channels resized by "
            f"{data['interpolation']}: only three, bilinear or bicubic, are supported"
        )
    (red, green, blue), (red_dev, green_dev, blue_dev) = data["mean"], data["std"]
    return Preprocessing(
        mean=(255 * red, 255 * green, 255 * blue),
        deviation=(255 * red_dev, 255 * green_dev, 255 * blue_dev),
        interpolation=data["interpolation"],
    )
