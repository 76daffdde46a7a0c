"""A graph network with SE: message passing on packed graphs, gates per graph, no padding.

The n nodes of all b graphs stand one after another (``models.pooling.Packing``); an edge is a pair
(source, target) of rows. A layer takes every node v with its neighbours N(v), the sources of edges
to v, and gates what comes out by graph::

    a_v = MLP((1 + epsilon) x_v + sum of x_u for u in N(v))
    y_v = SE(relu(a))_v                 squeeze: mean or sum over the nodes of v's graph

    logits = W [mean of y ; sum of y] + b

Gates from the mean do not change when a graph is repeated k times as one graph; gates from the sum
do (``models.analysis.graph_size``).

Source: Xu, Hu, Leskovec & Jegelka, "How Powerful are Graph Neural Networks?", arXiv:1810.00826,
the layer of the Graph Isomorphism Network (GIN); Hu et al., arXiv:1709.01507, section 3, for the
block. Ours: one readout, after the last layer, of mean and sum together. Batch normalisation is
over the nodes of the batch: in training its graphs feel each other, in evaluation they do not.
"""

from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from models.families.family import Family
from models.families.units import require_one_of, require_positive
from models.pooling import Packing
from models.squeeze_excite import SqueezeExcite
from models.squeezes import Squeeze, SumSqueeze

SqueezeName = Literal["average", "sum"]
_SQUEEZES: dict[str, type[Squeeze]] = {"average": Squeeze, "sum": SumSqueeze}


class GraphLayer(nn.Module):
    """One step of message passing, ReLU, then the gate, where there is one."""

    def __init__(self, inputs: int, channels: int, gate: SqueezeExcite | None) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(()))
        self.mlp = nn.Sequential(
            nn.Linear(inputs, channels),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
            nn.BatchNorm1d(channels),
            nn.ReLU(),
        )
        self.gate = gate

    def forward(
        self, x: Float[Tensor, "n d"], edges: Int[Tensor, "2 e"], packing: Packing
    ) -> Float[Tensor, "n c"]:
        """Return the nodes after the layer."""
        source, target = edges
        around = torch.zeros_like(x).index_add(0, target, x[source])
        y: Tensor = self.mlp((1 + self.epsilon) * x + around)
        return y if self.gate is None else self.gate(y, packing)


class GraphNetwork(nn.Module):
    """Packed graphs to logits: features (n, f), edges (2, e) and sizes (b,) -> (b, classes).

    Args:
        inputs: f, the features of a node.
        classes: how many logits there are.
        channels: c, of every layer.
        layers: how many layers there are.
        reduction: r of the blocks.
        squeeze: what a block is told of a graph's nodes.
        se: whether the layers have gates.

    Raises:
        ValueError: if a size is not positive, the squeeze has another name, or the reduction ratio
            is not in 1..channels.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        channels: int = 32,
        layers: int = 3,
        reduction: int = 4,
        squeeze: SqueezeName = "average",
        se: bool = True,
    ) -> None:
        super().__init__()
        require_positive(inputs=inputs, classes=classes, channels=channels, layers=layers)
        require_one_of("squeeze", squeeze, _SQUEEZES)
        self.inputs = inputs
        self.layers = nn.ModuleList(
            GraphLayer(
                channels if index else inputs,
                channels,
                SqueezeExcite(channels, reduction, squeeze=_SQUEEZES[squeeze]()) if se else None,
            )
            for index in range(layers)
        )
        self.classifier = nn.Linear(2 * channels, classes)

    def forward_features(
        self,
        features: Float[Tensor, "..."],
        edges: Int[Tensor, "..."],
        sizes: Int[Tensor, "..."],
    ) -> Float[Tensor, "n c"]:
        """Return the nodes after the last layer. Raises ValueError as ``forward`` does."""
        return self._nodes(features, edges, self._packing(features, edges, sizes))

    def forward(
        self,
        features: Float[Tensor, "..."],
        edges: Int[Tensor, "..."],
        sizes: Int[Tensor, "..."],
    ) -> Float[Tensor, "b classes"]:
        """Return logits.

        Args:
            features: (n, f), of the nodes of all graphs, one graph after another.
            edges: (2, e), rows of the sources and of the targets; one of each direction where
                messages go both ways.
            sizes: (b,), nodes of every graph.

        Raises:
            ValueError: if a shape is another, the sizes are not positive or do not add up to n, or
                an edge ends at no row or in another graph than it begins in.
        """
        packing = self._packing(features, edges, sizes)
        x = self._nodes(features, edges, packing)
        logits: Tensor = self.classifier(torch.cat([packing.mean(x), packing.total(x)], dim=1))
        return logits

    def _nodes(self, x: Tensor, edges: Tensor, packing: Packing) -> Tensor:
        for layer in self.layers:
            x = layer(x, edges, packing)
        return x

    def _packing(self, features: Tensor, edges: Tensor, sizes: Tensor) -> Packing:
        """Return which graph each node belongs to, after all checks."""
        if features.dim() != 2 or features.shape[1] != self.inputs:
            raise ValueError(
                f"features must have shape (n, {self.inputs}), got {tuple(features.shape)}"
            )
        if edges.dim() != 2 or edges.shape[0] != 2:
            raise ValueError(f"edges must have shape (2, e), got {tuple(edges.shape)}")
        if sizes.dim() != 1:
            raise ValueError(f"sizes must have shape (b,), got {tuple(sizes.shape)}")
        rows = features.shape[0]
        if torch.compiler.is_compiling():  # a graph of operations cannot look at values
            return Packing.of(sizes, rows)
        if (sizes < 1).any():
            raise ValueError(f"sizes must be 1 or more, got {int(sizes.min())}")
        packing = Packing.of(sizes, rows)
        outside = edges[(edges < 0) | (edges >= rows)]
        if outside.numel():
            raise ValueError(f"edges must be rows in 0..{rows - 1}, got {int(outside[0])}")
        source, target = packing.index[edges]
        across = (source != target).nonzero()
        if across.numel():
            edge = int(across[0])
            raise ValueError(
                f"an edge must stay in its graph, got edge {edge}, {edges[:, edge].tolist()}, "
                f"from graph {int(source[edge])} to graph {int(target[edge])}"
            )
        return packing


def rings(graphs: int, features: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return random rings of 3 to 9 nodes with random features, as the network takes them."""
    sizes = torch.randint(3, 10, (graphs,))
    packing = Packing.of(sizes, int(sizes.sum()))
    first = (sizes.cumsum(0) - sizes)[packing.index]
    here = torch.arange(len(first))
    there = first + (here - first + 1) % sizes[packing.index]
    both_ways = torch.stack([torch.cat([here, there]), torch.cat([there, here])])
    return torch.randn(len(here), features), both_ways, sizes


def _family(squeeze: SqueezeName) -> Family:
    tiny = partial(GraphNetwork, 8, 2, channels=16, squeeze=squeeze)
    return Family(
        name=f"graph, {squeeze} squeeze",
        kind="graph",
        build=tiny,
        build_plain=partial(tiny, se=False),
        example=lambda b: rings(b, 8),
        batch_axes=(0, 1, 0),
        source="Xu et al., arXiv:1810.00826, the Graph Isomorphism Network",
    )


FAMILIES = (_family("average"), _family("sum"))
