"""torchvision's SE networks as backbones, from a user's file of their weights.

torchvision itself is not needed: the networks are ours, and ``models.families.torchvision_weights``
says which tensor is which. The classifier is left out: no tap depends on it, and a file fits
whatever the classes it was trained on.

Source of the preprocessing: the transforms that torchvision's default weights of each network
carry. (B1 has two sets of weights: the first was made for bicubic pixels, the default one for
bilinear; a file does not tell which it holds.)
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import nn

from models.checkpoints import WeightsError, read_tensors
from models.families.torchvision_weights import NETWORKS, from_torchvision
from models.preprocess import Preprocessing

MEAN = (255 * 0.485, 255 * 0.456, 255 * 0.406)
DEVIATION = (255 * 0.229, 255 * 0.224, 255 * 0.225)
BILINEAR = ("efficientnet_b1", "mobilenet_v3_large", "mobilenet_v3_small")


def create(name: str, weights: Path | None) -> tuple[nn.Module, Preprocessing]:
    """Return the network of that name of torchvision's, with its weights, and its preprocessing.

    Raises:
        WeightsError: if there is no file, it cannot be read, or it holds another network's weights.
    """
    if weights is None:
        raise WeightsError(
            f"backbone '{name.replace('_', '-')}' comes without weights: pass a file of them "
            f"(GATEWATCH_WEIGHTS), the state dict of torchvision's {name} as .pth or .safetensors"
        )
    network = NETWORKS[name]()
    network.neck = nn.Sequential()
    network.add_module("classifier", nn.Identity())
    read = read_tensors(weights)
    tensors = {key: value for key, value in read.items() if not key.startswith("classifier.")}
    from_torchvision(network, tensors, weights)
    preprocessing = Preprocessing(MEAN, DEVIATION, "bilinear" if name in BILINEAR else "bicubic")
    return network.eval(), preprocessing


BACKBONES: dict[str, Callable[[Path | None], tuple[nn.Module, Preprocessing]]] = {
    name.replace("_", "-"): partial(create, name) for name in NETWORKS
}
"""Our name of the backbone -> from a file of weights to the network."""
