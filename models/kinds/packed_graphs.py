"""From graphs to a network's input: the columns of every node, and packed batches.

Columns of edges come to the nodes as their mean over the edges at v, 0 where there is none.
Messages go both ways along every edge, also of directed graphs, whose direction shows in two
columns. Edges from a node to itself carry none, and edges side by side count as one but in their
columns. An attribute that was not fitted says nothing. ``graph_columns`` has what they are.

A prepared graph is float32 (1 + n f + 2 m): n, the n rows of f columns, the sources and the targets
of the m messages, whole numbers below 2^24.

The picture of a graph is its adjacency matrix in the order of its nodes, white where an edge is,
with a colour on the diagonal that depends on the node's columns; of more than 64 nodes several
share a pixel, of fewer each has several.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64, UInt8
from torch import Tensor

from models.kinds.attribute_values import Values
from models.kinds.graph_columns import Attributes, Column, Graph, Part, fitted, structure
from models.preprocess import THUMBNAIL_PX

MOST_COLUMNS = 160


@dataclass(frozen=True, slots=True)
class PackedGraphs:
    """What a graph network is shown (``models.preprocess.Preparation``).

    Attributes:
        columns: of every node; the structure's come first.
        directed: whether the graphs' edges have a direction.
    """

    columns: tuple[Column, ...]
    directed: bool = False

    @classmethod
    def fit(cls, graphs: Sequence[Graph]) -> "PackedGraphs":
        """Return the columns of what these graphs have.

        Raises:
            ValueError: if some are directed and some are not, or there are too many columns.
        """
        directed = graphs[0].directed
        if any(graph.directed != directed for graph in graphs):
            raise ValueError("some graphs are directed and some are not: send one sort")
        tables: dict[Part, list[Attributes]] = {
            "structure": [_compact(structure(graph)) for graph in graphs],
            "nodes": [graph.of_nodes for graph in graphs],
            "edges": [graph.of_edges for graph in graphs],
        }
        columns = [
            fitted(part, name, values)
            for part, several in tables.items()
            for name, values in _together(several)
        ]
        width = sum(column.width for column in columns)
        if width > MOST_COLUMNS:
            raise ValueError(
                f"the attributes make {width} columns, at most {MOST_COLUMNS} are learned from: "
                "send fewer attributes"
            )
        return cls(tuple(columns), directed)

    @property
    def width(self) -> int:
        """f, the columns of a node."""
        return sum(column.width for column in self.columns)

    def prepare(self, sample: Graph) -> Float32[np.ndarray, " k"]:
        """Return one array of a graph.

        Raises:
            ValueError: if it is directed and those fitted are not, or the other way round, or has
                a word where a number is wanted.
        """
        if sample.directed != self.directed:
            wanted, got = ("directed", "undirected")[:: 1 if self.directed else -1]
            raise ValueError(f"the detector was fitted on {wanted} graphs, got one {got}")
        n = len(sample.names)
        tables: dict[Part, Attributes] = {
            "structure": structure(sample),
            "nodes": sample.of_nodes,
            "edges": sample.of_edges,
        }
        parts = []
        for column in self.columns:
            rows = len(sample.edges) if column.part == "edges" else n
            encoded = column.encode(tables[column.part].get(column.name), rows)
            parts.append(_around(sample, encoded) if column.part == "edges" else encoded)
        features = np.concatenate(parts, axis=1)
        packed = np.concatenate([[n], features.ravel(), sample.joined.ravel()])
        prepared: np.ndarray = packed.astype(np.float32)
        return prepared

    def blank(self) -> Float32[np.ndarray, " k"]:
        """Return a graph of one node of which nothing is known."""
        return np.array([1.0] + [0.0] * self.width, np.float32)

    def inputs(
        self, samples: Sequence[np.ndarray], device: torch.device
    ) -> tuple[tuple[Float[Tensor, "n f"], Int[Tensor, "2 e"], Int[Tensor, " b"]], None]:
        """Return features, edges and sizes, one graph after another.

        Raises:
            ValueError: if an array is none that ``prepare`` made.
        """
        features, edges = zip(*map(self.unpack, samples), strict=True)
        sizes = np.array([len(rows) for rows in features], np.int64)
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        moved = [pairs + start for pairs, start in zip(edges, first, strict=True)]
        return (
            torch.from_numpy(np.concatenate(features)).to(device),
            torch.from_numpy(np.concatenate(moved, axis=1)).to(device),
            torch.from_numpy(sizes).to(device),
        ), None

    def unpack(
        self, sample: np.ndarray
    ) -> tuple[Float32[np.ndarray, "n f"], Int64[np.ndarray, "2 m"]]:
        """Return columns and messages of a prepared graph. Raises ValueError as ``inputs``."""
        n = int(sample[0]) if sample.ndim == 1 and len(sample) else 0
        end = 1 + n * self.width
        if n < 1 or len(sample) < end or (len(sample) - end) % 2:
            raise ValueError(f"no packed graph of {self.width} columns: shape {sample.shape}")
        edges = sample[end:].reshape(2, -1).astype(np.int64)
        return sample[1:end].reshape(n, self.width), edges

    def thumbnails(self, samples: Sequence[np.ndarray]) -> UInt8[np.ndarray, "b 3 t t"]:
        """Return the adjacency matrix of every graph, its diagonal in colours of the columns."""
        return np.stack([_thumbnail(*self.unpack(sample)) for sample in samples])


def _thumbnail(
    features: Float32[np.ndarray, "n f"], edges: Int64[np.ndarray, "2 m"]
) -> UInt8[np.ndarray, "3 t t"]:
    """Return a picture of a matrix: many nodes share a pixel, or few have a square each."""
    n = len(features)
    side = min(n, THUMBNAIL_PX)
    matrix = np.zeros((3, side, side), np.float64)
    cell = np.arange(n) * side // n
    np.add.at(matrix, (slice(None), *cell[edges]), 1.0)
    matrix = 255 * matrix / max(matrix.max(), 1.0)
    angle = features.astype(np.float64) @ np.arange(1, features.shape[1] + 1)
    for channel in range(3):
        matrix[channel, cell, cell] = 160 + 95 * np.sin(angle + 2 * np.pi * channel / 3)
    at = np.arange(THUMBNAIL_PX) * side // THUMBNAIL_PX
    picture: np.ndarray = np.rint(matrix[:, at][:, :, at]).astype(np.uint8)
    return picture


def _around(graph: Graph, encoded: Float[np.ndarray, "e w"]) -> Float[np.ndarray, "n w"]:
    """Return the mean over the edges at every node; an edge from v to v is at v once."""
    n, apart = len(graph.names), graph.edges[:, 0] != graph.edges[:, 1]
    total, count = np.zeros((n, encoded.shape[1])), np.zeros(n)
    for end, which in ((0, slice(None)), (1, apart)):
        np.add.at(total, graph.edges[which, end], encoded[which])
        np.add.at(count, graph.edges[which, end], 1)
    mean: np.ndarray = total / np.maximum(count, 1)[:, None]
    return mean


def _together(tables: Sequence[Attributes]) -> Iterator[tuple[str, Values]]:
    """Yield every attribute's values of all graphs that have it, by name.

    One after another: of a thousand graphs all of them together would not fit into memory.
    """
    for name in sorted({name for table in tables for name in table}):
        yield name, Values.together([Values.of(table[name]) for table in tables if name in table])


def _compact(table: Attributes) -> dict[str, Values]:
    return {name: Values.of(values) for name, values in table.items()}
