"""A graph network that learns from normal graphs, by telling the noise that was added to them.

The network has three kinds of SE blocks, on packed graphs (``models.families.graph``), with columns
x (n, f) of n nodes::

    totals        ln(1 + |t|) sign t of t = sum of x over a graph, and of 1     one row a graph
    layers        of the Graph Isomorphism Network, on x                        one row a node
    surroundings  p(v) - x_v, p predicted from around v without x_v            one row a node

Totals say how large a graph is and what it is made of, which means over nodes hide; layers how the
columns lie together; surroundings where a node does not go with its neighbours. A prediction::

    m_uv = MLP([x_u ; sum of x_w for w in N(u), w != v])
    p(v) = MLP([mean of m_uv ; sum of m_uv]) over u in N(v)

is free of v's own columns, except for what its neighbours' structure tells.

The task adds noise to the columns and asks for it, of layers and totals, and for the columns, of
the surroundings, which have no need of noise: with z drawn from N(0, 1)::

    loss = mean of (head(network(x + z / 2)) - z)^2 + mean of (p - x)^2

Sources: Xu et al., arXiv:1810.00826 (GIN); Hu et al., arXiv:1709.01507 (SE); to learn by telling
the noise of node features: Zaidi et al., "Pre-training via Denoising for Molecular Property
Prediction", arXiv:2206.00133. Ours: the totals, and the predictions that leave the node out.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from models.families.graph import GraphNetwork
from models.pooling import Packing
from models.self_supervision import Task
from models.squeeze_excite import SqueezeExcite

NOISE = 0.5
DEGREES = 8
"""How many degrees are counted: 0 to 6, and 7 or more."""


class Totals(nn.Module):
    """What a graph is made of altogether, standardised and gated: one row a graph."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.standardise = nn.BatchNorm1d(columns + DEGREES, affine=False)
        self.gate = SqueezeExcite(columns + DEGREES, 4)

    def forward(
        self, x: Float[Tensor, "n f"], edges: Int[Tensor, "2 e"], packing: Packing
    ) -> Float[Tensor, "b g"]:
        """Return the totals of every graph."""
        degree = torch.bincount(edges[1], minlength=len(x)).clamp_max(DEGREES - 1)
        total = packing.total(torch.cat([x, functional.one_hot(degree, DEGREES)], dim=1))
        y = self.standardise(total.sign() * total.abs().log1p())
        gated: Tensor = self.gate(y, Packing.of(torch.ones_like(packing.sizes), len(y)))
        return gated


class Surroundings(nn.Module):
    """How far each node is from what its neighbours make one expect, gated: one row a node."""

    def __init__(self, columns: int, hidden: int) -> None:
        super().__init__()
        self.message = nn.Sequential(
            nn.Linear(2 * columns, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.predict = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, columns)
        )
        self.standardise = nn.BatchNorm1d(columns, affine=False)
        self.gate = SqueezeExcite(columns, 4)

    def expected(self, x: Float[Tensor, "n f"], edges: Int[Tensor, "2 e"]) -> Float[Tensor, "n f"]:
        """Return what is expected of every node; its own columns have no part in it."""
        source, target = edges
        around = torch.zeros_like(x).index_add(0, target, x[source])
        messages = self.message(torch.cat([x[source], around[source] - x[target]], dim=1))
        total = messages.new_zeros(len(x), messages.shape[1]).index_add(0, target, messages)
        degree = torch.bincount(target, minlength=len(x)).clamp_min(1)[:, None]
        predicted: Tensor = self.predict(torch.cat([total / degree, total.log1p()], dim=1))
        return predicted

    def forward(
        self, x: Float[Tensor, "n f"], edges: Int[Tensor, "2 e"], packing: Packing
    ) -> Float[Tensor, "n f"]:
        """Return what is expected less what is there."""
        surprise: Tensor = self.gate(self.standardise(self.expected(x, edges) - x), packing)
        return surprise


class GraphLearner(nn.Module):
    """Totals, layers and surroundings of packed graphs; see the module.

    Args:
        columns: f, of a node.
        channels: c, of every layer.
        layers: how many layers there are.
    """

    def __init__(self, columns: int, channels: int = 32, layers: int = 2) -> None:
        super().__init__()
        self.columns = columns
        self.totals = Totals(columns)
        self.graph = GraphNetwork(columns, 1, channels=channels, layers=layers)
        self.graph.classifier = nn.Identity()  # type: ignore[assignment]  # nobody is asked
        self.surroundings = Surroundings(columns, channels)
        self.width = channels + columns + DEGREES

    def forward_features(
        self,
        features: Float[Tensor, "n f"],
        edges: Int[Tensor, "2 e"],
        sizes: Int[Tensor, " b"],
    ) -> Float[Tensor, "n w"]:
        """Return every node after the last layer, beside the totals of its graph.

        Raises:
            ValueError: as ``GraphNetwork.forward``.
        """
        nodes = self.graph.forward_features(features, edges, sizes)
        packing = Packing.of(sizes, len(features))
        self.surroundings(features, edges, packing)
        return torch.cat([nodes, self.totals(features, edges, packing)[packing.index]], dim=1)

    forward = forward_features


class NoiseTask(Task):
    """Tell the noise of every column from the nodes around, and every node from those around."""

    network: GraphLearner

    def __init__(self, network: GraphLearner) -> None:
        super().__init__()
        self.network = network
        self.head = nn.Linear(network.width, network.columns)

    def loss(self, inputs: tuple[Tensor, ...], rng: torch.Generator) -> Float[Tensor, ""]:
        """Return the loss of the module's formula, a mean over nodes and columns."""
        x, edges, sizes = inputs
        noise = torch.randn(x.shape, generator=rng).to(x.device)
        told = self.head(self.network.forward_features(x + NOISE * noise, edges, sizes))
        expected = self.network.surroundings.expected(x, edges)
        return functional.mse_loss(told, noise) + functional.mse_loss(expected, x)
