"""What a whole network costs, stage by stage, and what its SE blocks add to it.

The network runs once, and every convolution (1d, 2d, 3d) and linear layer is counted as it runs::

    MACs of a layer = numbers it gives * weights behind each of them

For a convolution of kernel h x w over c channels in g groups there are h w c / g weights behind
each number, for a linear layer as many as its inputs. What runs inside an SE block is counted
apart; ``models.analysis.cost`` says what counts as a MAC and what does not. Layers are those that
are modules: products of two activations, as in attention, and layers called as functions are not
seen.

A stage is all that runs on maps of one size (Hu et al., arXiv:1709.01507, section 4): its key is
the sides of the maps that a layer gives, or an SE block takes; () for layers without places, such
as a classifier.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from models.analysis.cost import SeCost
from models.gate_finder import NoGatesError, find_gates

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

Places = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """Parameters and MACs outside SE blocks, and what the SE blocks cost; ``+`` adds them up."""

    parameters: int = 0
    macs: int = 0
    se: SeCost = field(default_factory=SeCost)

    @property
    def parameter_overhead(self) -> float:
        """Parameters that the SE blocks add, relative to those without them."""
        return self.se.parameters / self.parameters

    @property
    def mac_overhead(self) -> float:
        """MACs that the SE blocks add, relative to those without them."""
        return self.se.macs / self.macs

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.parameters + other.parameters, self.macs + other.macs, self.se + other.se)


@dataclass(frozen=True, slots=True)
class NetworkCost:
    """The cost of all, and of each stage in the order in which they are met.

    The parameters of a stage are those of its layers and SE blocks; normalisation, embeddings and
    what did not run count in the total alone.
    """

    total: Cost
    stages: dict[Places, Cost]


def network_cost(network: nn.Module, *inputs: Tensor) -> NetworkCost:
    """Return what the network costs on these inputs: for one sample, give one.

    It runs in evaluation mode without gradients and is left as it was. On the device "meta" nothing
    is computed and the counts are the same.
    """
    blocks = _blocks(network)
    count = _Count()
    with ExitStack() as hooks, _evaluating(network), torch.no_grad():
        for block in blocks:
            hooks.callback(block.register_forward_pre_hook(count.enter).remove)
            hooks.callback(block.register_forward_hook(count.leave).remove)
        for layer in network.modules():
            if isinstance(layer, (*CONVOLUTIONS, nn.Linear)):
                hooks.callback(layer.register_forward_hook(count.layer).remove)
        network(*inputs)

    total = sum(count.stages.values(), Cost())
    gates = _parameters(blocks)
    se = replace(total.se, parameters=gates)
    return NetworkCost(Cost(_parameters([network]) - gates, total.macs, se), dict(count.stages))


class _Count:
    """What ran so far, by stage."""

    def __init__(self) -> None:
        self.stages: dict[Places, Cost] = defaultdict(Cost)
        self._counted: set[nn.Module] = set()
        self._block: Places | None = None  # the stage of the SE block that runs now

    def enter(self, block: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        size = inputs[0].numel()
        self._block = tuple(inputs[0].shape[2:])
        cost = SeCost(self._parameters_once(block), squeeze=size, scale=size)
        self.stages[self._block] += Cost(se=cost)

    def leave(self, _block: nn.Module, _inputs: object, _output: object) -> None:
        self._block = None

    def layer(self, layer: nn.Module, _inputs: object, output: Tensor) -> None:
        assert isinstance(layer.weight, Tensor)
        macs = output.numel() * layer.weight[0].numel()
        if self._block is not None:
            self.stages[self._block] += Cost(se=SeCost(excitation=macs))
            return
        channels_second = isinstance(layer, CONVOLUTIONS)
        places = output.shape[2:] if channels_second else output.shape[1:-1]
        self.stages[tuple(places)] += Cost(self._parameters_once(layer), macs)

    def _parameters_once(self, module: nn.Module) -> int:
        """Return the module's parameters, or 0 if it ran before."""
        if module in self._counted:
            return 0
        self._counted.add(module)
        return _parameters([module])


def _blocks(network: nn.Module) -> list[nn.Module]:
    try:
        return [found.block for found in find_gates(network).values()]
    except NoGatesError:
        return []


def _parameters(modules: Iterable[nn.Module]) -> int:
    """Return how many parameters they have, those in common once."""
    return sum(p.numel() for p in {p for module in modules for p in module.parameters()})


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Put the network, and each of its modules, in evaluation mode for a while."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
