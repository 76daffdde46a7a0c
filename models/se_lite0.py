"""SE-Lite0: the EfficientNet-Lite0 trunk with a Squeeze-and-Excitation gate on every block.

The trunk carries ImageNet weights; the gates were trained by this project so that the gated
network, shown a corrupted image, reproduces the trunk's features of the clean one
(``models.train_gates``). A gate below 1/2 therefore says "this channel is unreliable in this
image".
"""

from pathlib import Path

from models.checkpoints import GATES_FILE, load_gates, load_trunk
from models.lite0 import Lite0
from models.squeeze_excite import SqueezeExcite

REDUCTION = 4


class SeLite0(Lite0):
    """Lite0 whose gates begin as the identity: untrained, it equals the trunk."""

    def __init__(self) -> None:
        super().__init__(gate=lambda channels: SqueezeExcite.identity(channels, REDUCTION))


def lite0() -> Lite0:
    """Return the plain trunk with its ImageNet weights, in evaluation mode."""
    trunk = Lite0()
    load_trunk(trunk)
    return trunk.eval()


def se_lite0(gates: Path | None = None, *, trained: bool = True) -> SeLite0:
    """Return the gated network with its ImageNet trunk, in evaluation mode.

    Args:
        gates: a file of trained gates; None takes those shipped.
        trained: whether to load gates at all; otherwise they are the identity.

    Raises:
        WeightsError: if weights are missing, altered or misshapen.
    """
    network = SeLite0()
    load_trunk(network)
    if trained:
        load_gates(network, gates or GATES_FILE)
    return network.eval()
