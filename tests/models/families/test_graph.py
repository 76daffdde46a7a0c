"""Message passing with SE on packed graphs: against a naive twin, and what replication changes."""

from collections.abc import Iterator
from itertools import pairwise

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import settings as at_most
from hypothesis import strategies as st
from torch import Tensor

from models.families.graph import GraphNetwork, SqueezeName, rings
from models.taps import Tapped

Graph = tuple[Tensor, Tensor, Tensor]


def network_of(squeeze: SqueezeName, inputs: int = 4, layers: int = 3) -> GraphNetwork:
    """A network in float64, evaluation mode, with statistics and epsilons of its own."""
    network = GraphNetwork(inputs, 3, channels=8, layers=layers, reduction=2, squeeze=squeeze)
    for layer in network.layers:
        torch.nn.init.normal_(layer.epsilon)
        for norm in (layer.mlp[1], layer.mlp[4]):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2)
    return network.double().eval().requires_grad_(requires_grad=False)


def random_graphs(sizes: list[int], edges: int = 12, features: int = 4) -> Graph:
    """Graphs of these sizes with random edges, some of them twice or from a node to itself."""
    first = torch.tensor([0, *sizes]).cumsum(0)
    ends = [
        torch.randint(int(start), int(start) + size, (2, edges))
        for start, size in zip(first, sizes, strict=False)
    ]
    x = torch.randn(sum(sizes), features, dtype=torch.float64)
    return x, torch.cat(ends, dim=1), torch.tensor(sizes)


def replicated(graph: Graph, times: int) -> Graph:
    """Disjoint copies of one graph, as one graph."""
    x, edges, sizes = graph
    copies = [edges + copy * len(x) for copy in range(times)]
    return x.repeat(times, 1), torch.cat(copies, dim=1), sizes * times


def gates(network: GraphNetwork, graph: Graph) -> Tensor:
    """The gates of all blocks side by side, (b, layers * channels)."""
    return torch.cat([tap.gate for tap in Tapped(network)(*graph).blocks.values()], dim=1)


def naive(network: GraphNetwork, graph: Graph, squeeze: SqueezeName) -> Tensor:
    """The logits from the module's formula: dense adjacency, one graph at a time."""
    x, edges, sizes = graph
    logits = []
    for size, start in zip(sizes.tolist(), (sizes.cumsum(0) - sizes).tolist(), strict=True):
        adjacency = torch.zeros(size, size, dtype=torch.float64)
        for source, target in edges.T.tolist():
            if start <= source < start + size:
                adjacency[target - start, source - start] += 1
        y = x[start : start + size]
        for layer in network.layers:
            y = layer.mlp((1 + layer.epsilon) * y + adjacency @ y)
            s = y.mean(dim=0) if squeeze == "average" else y.sum(dim=0)
            excite = layer.gate.excite
            hidden = torch.relu(excite.reduce.weight @ s + excite.reduce.bias)
            y = y * torch.sigmoid(excite.expand.weight @ hidden + excite.expand.bias)
        readout = torch.cat([y.mean(dim=0), y.sum(dim=0)])
        logits.append(network.classifier.weight @ readout + network.classifier.bias)
    return torch.stack(logits)


@pytest.mark.parametrize("squeeze", ["average", "sum"])
@given(seed=st.integers(0, 2**32 - 1), sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4))
@at_most(max_examples=25)
def test_packed_equals_naive_twin(squeeze: SqueezeName, seed: int, sizes: list[int]) -> None:
    """Reference: dense adjacency matrices, a graph at a time; float64, 1e-10."""
    torch.manual_seed(seed)
    network, graphs = network_of(squeeze), random_graphs(sizes)

    expected = naive(network, graphs, squeeze)

    torch.testing.assert_close(network(*graphs), expected, rtol=1e-10, atol=1e-10)


def test_average_squeeze_does_not_see_how_often_a_graph_is_repeated() -> None:
    """Law: the gates of the whole network are unchanged by disjoint copies within one graph."""
    torch.manual_seed(0)
    network, graph = network_of("average"), random_graphs([7])

    once = gates(network, graph)

    for times in (2, 3, 10):
        again = gates(network, replicated(graph, times))
        torch.testing.assert_close(again, once, rtol=1e-12, atol=1e-12)


def test_sum_squeeze_sees_how_often_a_graph_is_repeated() -> None:
    """Law: with the sum the gates of every block change, and with every further copy again."""
    torch.manual_seed(0)
    network, graph = network_of("sum"), random_graphs([7])

    seen = [gates(network, replicated(graph, times)) for times in (1, 2, 3)]

    for before, after in pairwise(seen):
        changes = (after - before).abs().unflatten(1, (3, 8)).amax(dim=2)
        assert bool((changes > 1e-3).all()), changes


@pytest.mark.parametrize("squeeze", ["average", "sum"])
def test_order_of_nodes_and_edges_changes_nothing(squeeze: SqueezeName) -> None:
    """Law: logits are a function of the graph, not of how it is written down."""
    torch.manual_seed(0)
    network = network_of(squeeze)
    x, edges, sizes = random_graphs([9])
    order = torch.randperm(9)
    place = order.argsort()
    shuffled = place[edges][:, torch.randperm(edges.shape[1])]

    torch.testing.assert_close(network(x[order], shuffled, sizes), network(x, edges, sizes))


def test_graph_without_edges_is_a_set() -> None:
    """Law: with no edges every node stands alone, also in a batch with others."""
    torch.manual_seed(0)
    network = network_of("average")
    x, edges, _ = random_graphs([3, 2])
    none = torch.empty(2, 0, dtype=torch.int64)

    alone = network(x[3:], none, torch.tensor([2]))
    together = network(x, edges[:, :12], torch.tensor([3, 2]))  # edges of the first graph alone

    torch.testing.assert_close(together[1:], alone)


def test_messages_follow_the_direction_of_edges() -> None:
    """Law: a target hears its source; the source does not hear its target."""
    torch.manual_seed(0)
    network = GraphNetwork(4, 2, channels=8, layers=1, reduction=2, se=False).eval()
    edge, sizes = torch.tensor([[0], [1]]), torch.tensor([2])
    x = torch.randn(2, 4)
    louder = x * torch.tensor([[5.0], [1.0]])
    before = network.forward_features(x, edge, sizes)
    assert not torch.equal(network.forward_features(louder, edge, sizes)[1], before[1])
    back = edge.flip(0)
    assert torch.equal(
        network.forward_features(louder, back, sizes)[1],
        network.forward_features(x, back, sizes)[1],
    )


@pytest.fixture
def unchecked_shapes() -> Iterator[None]:
    """Leave out the tests' shape checker, which an exporter would trace."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked_shapes")
def test_exported_it_takes_any_number_of_nodes_edges_and_graphs() -> None:
    """Contract: the three grow independently of one another."""
    torch.manual_seed(0)
    network, grows = network_of("sum"), torch.export.Dim.AUTO
    exported = torch.export.export(
        network, random_graphs([4, 2, 5]), dynamic_shapes=({0: grows}, {1: grows}, {0: grows})
    ).module()

    for graphs in (random_graphs([3, 9], edges=5), random_graphs([1] * 6, edges=1)):
        torch.testing.assert_close(exported(*graphs), network(*graphs))


@pytest.mark.parametrize(
    ("edges", "sizes", "message"),
    [
        ([[0], [5]], [2, 3], r"rows in 0\.\.4, got 5"),
        ([[-1], [0]], [2, 3], r"rows in 0\.\.4, got -1"),
        ([[0, 1], [1, 2]], [2, 3], r"edge 1, \[1, 2\], from graph 0 to graph 1"),
        ([[0], [1]], [2, 2], "add up to the 5 rows, got 4"),
        ([[0], [1]], [2, 0, 3], "sizes must be 1 or more, got 0"),
        ([[0], [1]], [6, -1], "sizes must be 1 or more, got -1"),
        ([[0], [1], [1]], [5], r"edges must have shape \(2, e\), got \(3, 1\)"),
        ([[0], [1]], [[5]], r"sizes must have shape \(b,\), got \(1, 1\)"),
    ],
)
def test_other_graphs_are_refused(edges: list[list[int]], sizes: list[int], message: str) -> None:
    """Contract: what is no batch of graphs is named."""
    network = GraphNetwork(4, 2, channels=8).eval()

    with pytest.raises(ValueError, match=message):
        network(torch.randn(5, 4), torch.tensor(edges), torch.tensor(sizes))


def test_other_features_are_refused() -> None:
    """Contract: received and expected shape."""
    with pytest.raises(ValueError, match=r"shape \(n, 5\), got \(\d+, 4\)"):
        GraphNetwork(5, 2)(*rings(2, 4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 8, "reduction": 9}, r"1\.\.8 \(the channels\), got 9"),
        ({"layers": 0}, "layers must be positive, got 0"),
        ({"channels": -1}, "channels must be positive, got -1"),
    ],
)
def test_impossible_networks_are_refused(arguments: dict[str, int], message: str) -> None:
    """Contract: the received value, and what was expected."""
    with pytest.raises(ValueError, match=message):
        GraphNetwork(4, 2, **arguments)


def test_another_squeeze_is_refused() -> None:
    """Contract: the name is checked; in tests the type checker may speak first."""
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match="median"):
        GraphNetwork(4, 2, squeeze="median")
