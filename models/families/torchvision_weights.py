"""torchvision's weights in our EfficientNets and MobileNetV3s: a table of names, loaded strictly.

================================  =============================================================
ours                              torchvision's
================================  =============================================================
stem                              features.0
stages.I (MobileNetV3)            features.I+1.block
stages.I.J (EfficientNet)         features.I+1.J.block
  expand, depthwise, gate,          0, 1, 2, 3; what a block lacks is not counted
  project
    conv, norm                        0, 1
    excite.reduce, excite.expand      fc1, fc2 (of the gate)
head                              features.N+1 for N stages
neck.I                            classifier.I
classifier                        classifier.I+1, behind the neck
================================  =============================================================

Source: the state dicts of torchvision 0.29, ``torchvision/models/{efficientnet,mobilenetv3}.py``.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from models.checkpoints import WeightsError, copy_tensors
from models.families.compound_scaling import PUBLISHED
from models.families.efficientnet import EfficientNet
from models.families.mbconv import EPSILON, MBConv, MBConvNetwork
from models.families.mobilenet_v3 import MobileNetV3

# B0 to B4 were trained in torch, with its own epsilon; the others come from TensorFlow.
_EPSILONS = (1e-5,) * 5 + (EPSILON,) * 3

NETWORKS: dict[str, Callable[[], MBConvNetwork]] = {
    **{
        f"efficientnet_b{index}": partial(EfficientNet, scaling, epsilon=epsilon)
        for index, (scaling, epsilon) in enumerate(zip(PUBLISHED, _EPSILONS, strict=True))
    },
    "mobilenet_v3_large": partial(MobileNetV3, "large"),
    "mobilenet_v3_small": partial(MobileNetV3, "small"),
}
"""torchvision's name -> our network that computes the same function."""


def names(network: MBConvNetwork) -> dict[str, str]:
    """Return torchvision's name of each of a network's tensors, by ours."""
    layers = dict(_layers(network))
    return {
        name: f"{layers[layer]}.{tensor}"
        for name in network.state_dict()
        for layer, _, tensor in [name.rpartition(".")]
    }


def from_torchvision(network: MBConvNetwork, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load the tensors of a state dict of torchvision's; all or none.

    Counters that old files of batch normalisation lack are forgiven, as torch does.

    Args:
        network: of the same shape: one of ``NETWORKS``, or of another width or number of classes.
        tensors: the whole state dict, by torchvision's names.
        path: where they come from, for the messages.

    Raises:
        WeightsError: if a tensor is missing, misshapen or not one of the network's.
    """
    wanted = names(network)
    strangers = sorted(tensors.keys() - set(wanted.values()))
    if strangers:
        more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
        raise WeightsError(
            f"{path} does not fit {type(network).__name__}: it holds what the network has not: "
            f"{', '.join(strangers[:3])}{more}"
        )
    found = {
        ours: tensors.get(theirs)
        for ours, theirs in wanted.items()
        if theirs in tensors or not theirs.endswith("num_batches_tracked")
    }
    copy_tensors(network, found, path)


def _layers(network: MBConvNetwork) -> Iterator[tuple[str, str]]:
    """Yield (our layer, torchvision's) for every layer that has weights."""
    yield from _convolution("stem", "features.0")
    for ours, block in network.named_modules():
        if isinstance(block, MBConv):
            _, stage, *place = ours.split(".")
            yield from _block(ours, block, ".".join(["features", str(int(stage) + 1), *place]))
    yield from _convolution("head", f"features.{len(network.stages) + 1}")
    for index in range(len(network.neck)):
        yield f"neck.{index}", f"classifier.{index}"
    yield "classifier", f"classifier.{len(network.neck)}"


def _block(ours: str, block: MBConv, theirs: str) -> Iterator[tuple[str, str]]:
    parts = [name for name, part in block.named_children() if not isinstance(part, nn.Identity)]
    for index, part in enumerate(parts):
        if part == "gate":
            yield f"{ours}.gate.excite.reduce", f"{theirs}.block.{index}.fc1"
            yield f"{ours}.gate.excite.expand", f"{theirs}.block.{index}.fc2"
        else:
            yield from _convolution(f"{ours}.{part}", f"{theirs}.block.{index}")


def _convolution(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    yield f"{ours}.conv", f"{theirs}.0"
    yield f"{ours}.norm", f"{theirs}.1"
