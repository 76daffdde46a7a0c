"""What the size of a graph does to gates: the mean squeeze forgets it, the sum squeeze saturates.

A graph of n nodes with the mean squeeze m (k,) has the sum squeeze n m. Gates from the mean do not
depend on n. With the sum, W1, b1, W2, b2 of the excitation, ReLU and sigmoid, unit j of the
bottleneck gets a_j n + b1_j with a = W1 m; beyond the last n where one of them changes its sign,
only the units J stay on, and the logits are lines in n::

    J         = {j : a_j > 0, or a_j = 0 and b1_j > 0}
    slope     = W2_J a_J
    intercept = W2_J b1_J + b2
    beyond    = max of -b1_j / a_j over j where it is positive, else 0

    logit(n)  = slope n + intercept                   for n >= beyond
    gate      = 1 / (1 + exp(-logit))                 -> 1 or 0, by the slope's sign
    gradient  = dgate / dlogit = gate (1 - gate)      <= exp(-|logit|) -> 0

So the gate's distance from its end and the gradient that a network could learn from shrink by
exp(-|slope|) with every node. They are at most e from that size on::

    n = (ln((1 - e) / e) - sign(slope) intercept) / |slope|

Source: ours; elementary, from equation 3 of Hu et al., arXiv:1709.01507 (the excitation). Compare
Xu et al., arXiv:1810.00826: a mean cannot tell how often a multiset is repeated, a sum can.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from models.excitation import Excitation


@dataclass(frozen=True, slots=True)
class LogitLines:
    """The logits of every gate as a function of the nodes, from ``beyond`` nodes on."""

    slope: Float[Tensor, " c"]
    intercept: Float[Tensor, " c"]
    beyond: float


@dataclass(frozen=True, slots=True)
class Saturation:
    """Gates, and how much each moves with its logit."""

    gate: Float[Tensor, "..."]
    gradient: Float[Tensor, "..."]


def logit_lines(excite: Excitation, mean: Float[Tensor, " k"]) -> LogitLines:
    """Return the logits of a sum squeeze, for graphs that differ in their size alone.

    Args:
        excite: two linear maps with ReLU between them; its standardisation is accounted for.
        mean: the mean squeeze of the graphs.

    Raises:
        ValueError: if the mean has another width, or the excitation is not of linear maps on the
            squeeze alone.
    """
    if not isinstance(excite.reduce, nn.Linear) or excite.context:
        raise ValueError("the excitation must be of two linear maps, without a context")
    if mean.shape[0] != excite.inputs:
        raise ValueError(f"the mean must have shape ({excite.inputs},), got {tuple(mean.shape)}")
    assert isinstance(excite.expand, nn.Linear)
    rise = excite.reduce.weight @ (mean / excite.deviation)
    start = excite.reduce(-excite.mean / excite.deviation)
    crossings = (-start / rise)[rise != 0]
    on = (rise > 0) | ((rise == 0) & (start > 0))
    slope = excite.expand.weight @ (rise * on)
    intercept = excite.expand(start * on)
    return LogitLines(slope, intercept, max([0.0, *crossings.tolist()]))


def saturation(
    slope: Float[Tensor, "*#shape"], intercept: Float[Tensor, "*#shape"], nodes: int | float
) -> Saturation:
    """Return the gates of graphs of this size, and their gradient by the logit."""
    logit = slope * nodes + intercept
    # gate * (1 - gate) would lose the small factor to rounding once the gate is near 1.
    return Saturation(torch.sigmoid(logit), torch.sigmoid(logit) * torch.sigmoid(-logit))


def nodes_to_saturate(slope: float, intercept: float, remaining: float) -> float:
    """Return from which size on min(gate, 1 - gate) is at most ``remaining``.

    Infinity where the slope is 0 and the intercept does not suffice.

    Raises:
        ValueError: if ``remaining`` is not in (0, 1/2).
    """
    if not 0 < remaining < 0.5:
        raise ValueError(f"remaining must be in (0, 0.5), got {remaining}")
    distance = math.log((1 - remaining) / remaining)
    if slope == 0:
        return 0.0 if abs(intercept) >= distance else math.inf
    return max(0.0, (distance - math.copysign(1, slope) * intercept) / abs(slope))
