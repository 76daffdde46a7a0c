"""Columns of nodes, packed batches and pictures of graphs, against naive twins."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.kinds.graph_columns import (
    FARTHEST,
    MOST_CATEGORIES,
    Graph,
    fitted,
    structure,
    triangles,
)
from models.kinds.packed_graphs import PackedGraphs

CPU = torch.device("cpu")


Drawn = tuple[list[str | None], list[tuple[int, int, float]]]


@st.composite
def parts(draw: st.DrawFn) -> Drawn:
    """Labels of up to nine nodes, and edges with weights, of which some are loops or twice there.

    No graph yet: the checks of its types draw from ``random``, which a strategy must not.
    """
    labels = draw(st.lists(st.sampled_from(["a", "b", None]), min_size=1, max_size=9))
    end = st.integers(0, len(labels) - 1)
    return labels, draw(st.lists(st.tuples(end, end, st.floats(-9, 9)), max_size=30))


def made(drawn: Drawn) -> Graph:
    """The graph of these parts."""
    labels, edges = drawn
    pairs = np.array([edge[:2] for edge in edges], np.int64).reshape(-1, 2)
    weights = {"weight": [edge[2] for edge in edges]} if edges else {}
    return Graph(tuple(map(str, range(len(labels)))), pairs, False, {"label": labels}, weights)


def numbers(values: Sequence[object]) -> NDArray[np.float64]:
    """The values as an array."""
    return np.array(values, np.float64)


@given(parts())
def test_structure_is_that_of_a_naive_count(drawn: Drawn) -> None:
    """Reference: neighbours, triangles and loops counted one by one."""
    graph = made(drawn)
    n = len(graph.names)
    near: list[set[int]] = [set() for _ in range(n)]
    loops = [0] * n
    for source, target in graph.edges.tolist():
        near[source].add(target)
        near[target].add(source)
        loops[source] += source == target
    near = [others - {node} for node, others in enumerate(near)]
    joined = [sum(b in near[a] for a, b in combinations(sorted(near[v]), 2)) for v in range(n)]
    pairs = [max(len(others) * (len(others) - 1) / 2, 1) for others in near]
    known = structure(graph)

    np.testing.assert_array_equal(triangles(graph.joined[0], graph.joined[1], n), joined)
    np.testing.assert_allclose(numbers(known["degree"]), np.log1p([len(others) for others in near]))
    np.testing.assert_allclose(numbers(known["clustering"]), numbers(joined) / pairs)
    np.testing.assert_array_equal(numbers(known["loops"]), loops)
    np.testing.assert_allclose(numbers(known["size"]), np.log(n))


def test_directions_are_columns() -> None:
    """Law: edges into and out of a node are told apart; messages go both ways."""
    graph = Graph(("a", "b", "c"), np.array([[0, 1], [0, 2], [2, 0]]), directed=True)

    known = structure(graph)
    np.testing.assert_allclose(np.expm1(numbers(known["out"])), [2, 0, 1])
    np.testing.assert_allclose(np.expm1(numbers(known["in"])), [1, 1, 1])
    assert graph.joined.tolist() == [[0, 0, 1, 2], [1, 2, 0, 0]]


def test_a_hub_costs_little() -> None:
    """Law: a node that all others are joined to makes no matrix of all pairs."""
    n = 20_000
    ends = np.arange(1, n)
    star = Graph(tuple(map(str, range(n))), np.stack([np.zeros_like(ends), ends], axis=1))

    assert not triangles(star.joined[0], star.joined[1], n).any()


def test_numbers_are_standardised() -> None:
    """Law: mean 0 and deviation 1 over what was fitted; none is the mean; far is far enough."""
    values = [1.0, 2.0, 6.0, None]
    column = fitted("nodes", "x", values)
    encoded = column.encode(values, 4)[:, 0]

    assert encoded[:3].mean() == pytest.approx(0)
    assert encoded[:3].std() == pytest.approx(1)
    assert encoded[3] == 0
    assert column.encode([1e300, -1e300], 2)[:, 0].tolist() == [FARTHEST, -FARTHEST]
    assert column.encode(None, 2).tolist() == [[0], [0]]
    alike = fitted("nodes", "x", [7.0, 7.0])
    assert alike.encode([7.0, 8.0], 2)[:, 0].tolist() == [0, 1]


def test_categories_have_a_slot_each() -> None:
    """Law: the most frequent first, one slot for the rest; standardised; numbers are words."""
    values = ["a", "b", "a", None, 3.0]
    column = fitted("nodes", "x", values)
    encoded = column.encode([*values, "new"], 6)

    assert column.categories == ("a", "3", "b")
    assert encoded.argmax(axis=1).tolist() == [0, 2, 0, 3, 1, 3]
    assert (encoded > 0).sum() == 6
    assert encoded[0, 0] == pytest.approx(1 / np.sqrt(0.4 * 0.6))
    many = fitted("nodes", "x", [str(number) for number in range(100)])
    assert many.width == MOST_CATEGORIES + 1


@given(st.lists(parts(), min_size=1, max_size=5))
def test_a_batch_is_its_graphs_side_by_side(drawn: list[Drawn]) -> None:
    """Law: what is unpacked is what was packed; edges stay in their graphs."""
    several = [made(each) for each in drawn]
    preparation = PackedGraphs.fit(several)
    arrays = [preparation.prepare(graph) for graph in several]
    (features, edges, sizes), weights = preparation.inputs(arrays, CPU)

    assert weights is None
    assert sizes.tolist() == [len(graph.names) for graph in several]
    assert features.shape == (int(sizes.sum()), preparation.width)
    first = 0
    for graph, array in zip(several, arrays, strict=True):
        own, joined = preparation.unpack(array)
        n = len(graph.names)
        np.testing.assert_array_equal(joined, graph.joined)
        np.testing.assert_array_equal(features[first : first + n].numpy(), own)
        inside = (edges[0] >= first) & (edges[0] < first + n)
        np.testing.assert_array_equal(edges[:, inside].numpy() - first, joined)
        first += n
    alone = np.concatenate([preparation.thumbnails([array]) for array in arrays])
    np.testing.assert_array_equal(preparation.thumbnails(arrays), alone)


def test_columns_of_edges_are_means_at_nodes() -> None:
    """Reference: by hand; a loop is at its node once, a node without edges has the mean."""
    edges = np.array([[0, 1], [1, 2], [2, 2]])
    graph = Graph(tuple("abcd"), edges, of_edges={"w": [1.0, 2.0, 6.0]})
    preparation = PackedGraphs.fit([graph])
    column = preparation.columns[-1]
    features, _ = preparation.unpack(preparation.prepare(graph))

    expected = (np.array([1, 1.5, 4, column.mean]) - column.mean) / column.deviation
    np.testing.assert_allclose(features[:, -1], expected, rtol=1e-6)


def test_pictures_tell_graphs_apart() -> None:
    """Law: another edge, another picture; as many nodes as there may be have one."""
    ring = np.array([[0, 1], [1, 2], [2, 3], [3, 0]])
    preparation = PackedGraphs.fit([Graph(tuple("abcd"), ring)])
    large = Graph(tuple(map(str, range(300))), np.array([[0, 299]]))
    pictures = preparation.thumbnails(
        [preparation.prepare(Graph(tuple("abcd"), some)) for some in (ring, ring[:3])]
        + [preparation.prepare(large), preparation.blank()]
    )

    assert pictures.shape == (4, 3, 64, 64)
    assert len(np.unique(pictures.reshape(4, -1), axis=0)) == 4


@pytest.mark.parametrize("array", [np.zeros(0), np.zeros(5), np.ones((2, 2)), np.ones(2)])
def test_what_is_no_packed_graph_is_refused(array: NDArray[np.float64]) -> None:
    """Contract: by its shape."""
    preparation = PackedGraphs.fit([Graph(tuple("ab"), np.array([[0, 1]]))])
    with pytest.raises(ValueError, match="no packed graph"):
        preparation.inputs([array.astype(np.float32)], CPU)
