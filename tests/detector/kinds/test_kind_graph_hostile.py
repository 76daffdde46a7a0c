"""What strangers send for a graph: refused as a sample, whatever it is, or read."""

import contextlib
import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from graph_helpers import KIND, VIEW, ring
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import (
    SampleError,
    SampleTooLargeError,
    UndecodableSampleError,
    UnsupportedSampleError,
)
from detector.kinds.parsing import node_link

TWO: list[dict[str, Any]] = [{"id": "a"}, {"id": "b"}]


def graph(nodes: Any = TWO, edges: Any = (), **more: Any) -> bytes:
    """Return the text of a graph."""
    return json.dumps({"nodes": nodes, "edges": edges, **more}).encode()


def edge(source: Any, target: Any, **more: Any) -> dict[str, Any]:
    """Return an edge."""
    return {"source": source, "target": target, **more}


BROKEN = {
    "empty": (b"", "no JSON"),
    "not UTF-8": (b"\xff\xfe{}", "no JSON"),
    "truncated": (ring(5)[:-9], "no JSON"),
    "a number": (b"3", "no graph"),
    "no nodes": (b'{"edges": []}', "nodes"),
    "no edges": (b'{"nodes": [{"id": 1}]}', "edges or links"),
    "both": (graph(links=[]), "edges or links"),
    "null nodes": (graph(None), "no list"),
    "no node": (graph([]), "no node"),
    "a node that is a list": (graph([[1]]), "object"),
    "no id": (graph([{"label": "C"}]), "'id'"),
    "a boolean id": (graph([{"id": True}]), "'id'"),
    "a broken id": (graph([{"id": 1.5}]), "'id'"),
    "a tuple for id": (graph([{"id": [0, 1]}]), "'id'"),
    "one id twice": (graph([{"id": 1}, {"id": "1"}]), "ids must differ"),
    "a dangling edge": (graph(edges=[edge("a", "c")]), "'c', and no node"),
    "an edge without end": (graph(edges=[{"source": "a"}]), "'target'"),
    "one edge twice": (graph(edges=[edge("a", "b"), edge("b", "a")]), "same nodes as edge 0"),
    "directed": (graph(directed="yes"), "directed must be"),
    "NaN": (b'{"nodes": [{"id": 1, "x": NaN}], "edges": []}', "NaN is no JSON number"),
    "infinity": (b'{"nodes": [{"id": 1, "x": -Infinity}], "edges": []}', "no JSON number"),
    "one key twice": (b'{"nodes": [{"id": 1, "id": 2}], "edges": []}', "same key twice"),
    "half a character": (graph([{"id": "\ud800"}]), "half a character"),
    "half of one in a name": (graph([{"id": 1, "\ud800": 2}]), "half a character"),
    "deep": (b"[" * 200_000, "nested"),
    "many digits": (b'{"nodes": [{"id": 1, "x": ' + b"9" * 5000 + b'}], "edges": []}', "no JSON"),
}
UNSUPPORTED: dict[str, dict[str, Any]] = {
    "an object": {"x": {"y": 1}},
    "a list of words": {"x": ["y"]},
    "a list of lists": {"x": [[1]]},
    "too large": {"x": 1e16},
    "beyond floats": {"x": 10**400},
}
LARGE = {
    "nodes": graph([{"id": i} for i in range(node_link.NODES + 1)]),
    "edges": graph(edges=[edge("a", "b")] * (node_link.EDGES + 1)),
    "attributes": graph([{"id": 1, **{str(i): 1 for i in range(node_link.ATTRIBUTES + 1)}}]),
    "features": graph([{"id": 1, "x": [0] * (node_link.ATTRIBUTES + 1)}]),
    "characters": graph([{"id": "x" * (node_link.CHARACTERS + 1)}]),
    "bytes": b" " * (node_link.BYTES + 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_ones_are_undecodable(name: str) -> None:
    """Contract: every one is refused, with what is wrong."""
    content, said = BROKEN[name]
    with pytest.raises(UndecodableSampleError, match=said):
        KIND.decode(content, VIEW)


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_odd_attributes_are_unsupported(name: str) -> None:
    """Contract: of nodes and of edges."""
    for content in (
        graph([{"id": 1, **UNSUPPORTED[name]}]),
        graph(edges=[edge("a", "b", **UNSUPPORTED[name])]),
    ):
        with pytest.raises(UnsupportedSampleError, match="'x"):
            KIND.decode(content, VIEW)


def test_infinite_by_its_exponent() -> None:
    """Contract: 1e999, which Python reads as infinity, is refused."""
    with pytest.raises(UnsupportedSampleError, match="numbers reach"):
        KIND.decode(b'{"nodes": [{"id": 1, "x": 1e999}], "edges": []}', VIEW)


@pytest.mark.parametrize("name", LARGE)
def test_large_ones_are_refused(name: str) -> None:
    """Contract: every limit."""
    with pytest.raises(SampleTooLargeError, match="at most"):
        KIND.decode(LARGE[name], VIEW)


def test_what_is_accepted() -> None:
    """Contract: links, loops, edges side by side, numbers as ids, missing values, a byte mark."""
    nodes = [{"id": 7, "label": 6, "on": True, "x": None}, {"id": "b", "label": "6"}]
    links = [edge(7, "b", key=0), edge("b", "7", key=1), edge(7, 7)]
    text = json.dumps({"nodes": nodes, "links": links, "multigraph": True, "graph": {}})
    sample = KIND.decode(b"\xef\xbb\xbf" + text.encode(), VIEW)

    assert sample.names == ("7", "b")
    assert sample.edges.tolist() == [[0, 1], [1, 0], [0, 0]]
    assert sample.joined.tolist() == [[0, 1], [1, 0]]
    assert sample.of_nodes == {"label": ["6", "6"], "on": [1.0, None], "x": [None, None]}
    assert sample.of_edges == {}
    both = graph(edges=[edge("a", "b"), edge("b", "a")], directed=True)
    assert len(KIND.decode(both, VIEW).edges) == 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["nodes", "edges", "id", "source", "target", "label"]), inner
        )
    ),
    max_leaves=12,
)


@given(values, values, values)
def test_any_json_is_read_or_refused(nodes: Any, edges: Any, whole: Any) -> None:
    """Property: nothing but a sample's error, whatever the JSON."""
    for content in (
        graph(nodes, edges),
        json.dumps(whole).encode(),
        graph([{"id": 1, "x": nodes}]),
    ):
        with contextlib.suppress(SampleError):
            KIND.decode(content, VIEW)


@given(st.integers(0, len(ring(6)) * 8 - 1), st.integers(0, len(ring(6))))
def test_flipped_and_cut_bytes(bit: int, end: int) -> None:
    """Property: the same of a graph with a bit flipped, or its end cut off."""
    content = bytearray(ring(6))
    content[bit // 8] ^= 1 << bit % 8
    for each in (bytes(content), ring(6)[:end]):
        try:
            sample = KIND.decode(each, VIEW)
        except SampleError:
            continue
        assert sample.edges.max(initial=0) < len(sample.names)
        assert all(
            value is None or isinstance(value, str) or np.isfinite(value)
            for several in sample.of_nodes.values()
            for value in several
        )


LIMIT = 800


@pytest.mark.parametrize(
    ("attributes", "times"),
    [
        (lambda at: {"f": [at % 7, 3, 5, 9] * 16}, 4),
        (lambda at: {"f": [at % 7 + 0.1, 0.3] * 32}, 4),
        (lambda at: {f"k{i}": "ab" for i in range(16)}, 1),
        (lambda at: {f"{i}": f"{at * 31 + i:06x}" for i in range(16)}, 2),
        (lambda at: {f"k{i}": 1 for i in range(64)} if at == 0 else {}, 1),
        (lambda at: {"x": at if at % 2 else "w"}, 2),
    ],
)
def test_memory_is_near_that_of_the_text(attributes: Any, times: float) -> None:
    """Law: a decoded graph takes a few times its bytes, and says how much."""
    edges = [edge(at % 70, 70 + at // 70, **attributes(at)) for at in range(LIMIT)]
    content = json.dumps(
        {"nodes": [{"id": at} for at in range(150)], "edges": edges}, separators=(",", ":")
    ).encode()
    KIND.decode(content, VIEW)
    tracemalloc.start()
    try:
        sample = KIND.decode(content, VIEW)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < times * len(content) + 150_000
    assert KIND.weight(sample) == pytest.approx(kept, rel=0.1, abs=150_000)
    for row in (0, LIMIT - 1):
        for name, value in attributes(row).items():
            if isinstance(value, list):
                assert [sample.of_edges[f"{name}[{i}]"][row] for i in range(64)] == value
            else:
                assert sample.of_edges[name][row] == value


def test_list_beside_its_own_name() -> None:
    """Contract: ``x: [1]`` beside ``"x[0]": 2``: the last counts, as one value."""
    sample = KIND.decode(graph([{"id": 1, "x": [1], "x[0]": 2}, {"id": 2, "x": [3]}]), VIEW)
    assert sample.of_nodes == {"x[0]": [2.0, 3.0]}
