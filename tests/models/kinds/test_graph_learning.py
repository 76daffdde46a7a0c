"""The network that learns from graphs: what its parts are told, and that it learns."""

import numpy as np
import pytest
import torch
from torch import Tensor

from models.families.graph import rings
from models.kinds.graph_learning import DEGREES, GraphLearner, NoiseTask
from models.pooling import Packing
from models.taps import Tapped

COLUMNS = 6


@pytest.fixture
def network() -> GraphLearner:
    """A small one, in evaluation."""
    torch.manual_seed(0)
    return GraphLearner(COLUMNS, channels=8).eval()


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Four rings."""
    torch.manual_seed(seed)
    return rings(4, COLUMNS)


def test_all_blocks_are_tapped(network: GraphLearner) -> None:
    """Contract: totals by graph, layers and surroundings by node, each runs once."""
    taps = Tapped(network)(*batch())

    assert set(taps.blocks) == {"totals", "graph.layers.0", "graph.layers.1", "surroundings"}
    assert taps.blocks["totals"].mean.shape == (4, COLUMNS + DEGREES)
    assert taps.blocks["surroundings"].mean.shape == (4, COLUMNS)
    torch.testing.assert_close(taps.blocks["totals"].mean, taps.blocks["totals"].maximum)


def test_totals_are_those_of_a_naive_sum(network: GraphLearner) -> None:
    """Reference: sums over the nodes of each graph, and every node of a ring has two others."""
    features, edges, sizes = batch()
    totals = Tapped(network)(features, edges, sizes).blocks["totals"].mean

    for at, own in enumerate(torch.split(features, sizes.tolist())):
        counted = torch.zeros(DEGREES)
        counted[2] = len(own)
        total = torch.cat([own.sum(dim=0), counted])
        expected = total.sign() * total.abs().log1p() / np.sqrt(1 + 1e-5)
        torch.testing.assert_close(totals[at], expected, rtol=1e-4, atol=1e-5)


def test_a_node_has_no_part_in_what_is_expected_of_it(network: GraphLearner) -> None:
    """Law: changing its columns changes what is expected of others within two steps, not of it."""
    features, edges, sizes = batch()
    expected = network.surroundings.expected(features, edges)
    for node in range(int(sizes[0])):
        other = features.clone()
        other[node] += 10
        changed = (network.surroundings.expected(other, edges) - expected).abs().amax(dim=1)
        assert changed[node] < 1e-4
        assert (changed[edges[0, edges[1] == node]] > 1e-3).all()
        assert (changed[int(sizes[0]) :] < 1e-4).all()


def test_surprise_is_against_a_naive_twin(network: GraphLearner) -> None:
    """Reference: messages one by one, of a node without neighbours too."""
    features, edges, _ = batch()
    edges = edges[:, (edges != 0).all(dim=0)]
    part = network.surroundings
    expected = part.expected(features, edges)
    near = [edges[0, edges[1] == node].tolist() for node in range(len(features))]

    def message(source: int, target: int) -> Tensor:
        others = [features[node] for node in near[source] if node != target]
        around = sum(others, torch.zeros(COLUMNS))
        sent: Tensor = part.message(torch.cat([features[source], around]))
        return sent

    for node, others in enumerate(near):
        total = sum((message(other, node) for other in others), torch.zeros(8))
        told = torch.cat([total / max(len(others), 1), total.log1p()])
        torch.testing.assert_close(expected[node], part.predict(told), rtol=1e-4, atol=1e-5)


def test_loss_is_drawn_from_the_generator(network: GraphLearner) -> None:
    """Law: same generator, same loss; the global one has no part in it; every part has a slope."""
    task = NoiseTask(network).train()
    inputs = batch()
    first = task.loss(inputs, torch.Generator().manual_seed(1))
    torch.manual_seed(5)
    again = task.loss(inputs, torch.Generator().manual_seed(1))
    other = task.loss(inputs, torch.Generator().manual_seed(2))

    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert float(first.detach()) != float(other.detach())
    first.backward()  # type: ignore[no-untyped-call]  # torch's own lack
    without = {name.rpartition(".")[0] for name, p in task.named_parameters() if p.grad is None}
    assert all(name.startswith("network.surroundings.gate") for name in without)


def test_graphs_without_edges_have_finite_maps(network: GraphLearner) -> None:
    """Law: single nodes, no messages."""
    features, edges, sizes = torch.randn(3, COLUMNS), torch.zeros((2, 0)).long(), torch.ones(3)
    out = network(features, edges, sizes.long())

    assert out.shape == (3, network.width)
    assert torch.isfinite(out).all()
    assert Packing.of(sizes.long(), 3).index.tolist() == [0, 1, 2]
