"""What is known of every node of a graph, as columns of numbers: structure, attributes.

For every node v of an undirected graph, or of a directed one as if it had no directions::

    degree      ln(1 + how many other nodes v is joined to)
    clustering  share of the pairs of its neighbours that are joined themselves
    loops       edges from v to v
    size        ln n, of the graph
    in, out     ln(1 + edges into v) and out of it, of directed graphs
    attributes  of v: numbers and categories

    number      (x - mean) / deviation over the nodes of all fitted graphs, kept within -20..20;
                0, the mean, where there is none
    category    one-hot over the values that were fitted, the most frequent ones, with a slot for
                any other and for none; divided by sqrt(p (1 - p)), p the share of the value among
                the fitted nodes, kept within 0.02..0.98

Clustering is that of Watts & Strogatz, "Collective dynamics of small-world networks", Nature
393:440-442 (1998).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int64
from scipy.sparse import csr_array

from models.kinds.attribute_values import Value, Values

Attributes = Mapping[str, Sequence[Value]]
Part = Literal["structure", "nodes", "edges"]

MOST_CATEGORIES = 16
"""Values of one attribute that have a slot of their own, the most frequent of them."""
LEAST_SHARE = 0.02
LEAST_DEVIATION = 1e-9
"""Relative to the greatest number: below it all are alike, and 1 stands for the deviation."""
FARTHEST = 20.0
"""Deviations from the mean beyond which a number is not told from a farther one."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by name, edges as pairs of their rows, and the attributes of both."""

    names: tuple[str, ...]
    edges: Int64[np.ndarray, "e 2"]
    directed: bool = False
    of_nodes: Attributes = field(default_factory=dict)
    of_edges: Attributes = field(default_factory=dict)

    @property
    def joined(self) -> Int64[np.ndarray, "2 m"]:
        """The pairs of different nodes that an edge joins, each both ways, in order."""
        apart = self.edges[self.edges[:, 0] != self.edges[:, 1]]
        pairs = np.unique(np.concatenate([apart, apart[:, ::-1]]), axis=0)
        return np.ascontiguousarray(pairs.T)


@dataclass(frozen=True, slots=True)
class Column:
    """One attribute: of what, its name, and its numbers' mean and deviation or its categories.

    The deviations of categories are those of 0 or 1, one for every slot.
    """

    part: Part
    name: str
    categories: tuple[str, ...] | None = None
    mean: float = 0.0
    deviation: float = 1.0
    deviations: tuple[float, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Column":
        """Return the column of JSON values, as ``dataclasses.asdict`` and JSON made them."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**given)

    @property
    def width(self) -> int:
        """How many columns it has."""
        return 1 if self.categories is None else len(self.categories) + 1

    def encode(self, values: Sequence[Value] | None, rows: int) -> Float[np.ndarray, "rows w"]:
        """Return the columns. Raises ValueError if a number is wanted and there is a word."""
        column = Values(rows, (), ()) if values is None else Values.of(values)
        if self.categories is None:
            return self._numbers(column)
        encoded: np.ndarray = np.diag(1 / np.array(self.deviations))[column.slots(self.categories)]
        return encoded

    def _numbers(self, values: Values) -> Float[np.ndarray, "rows 1"]:
        if values.words:
            raise ValueError(
                f"attribute {self.name!r} of {self.part} was a number where the detector was "
                f"fitted, got {values.words[0][:40]!r}"
            )
        scaled = np.nan_to_num((values.numbers() - self.mean) / self.deviation)
        return np.clip(scaled, -FARTHEST, FARTHEST)[:, None]


def structure(graph: Graph) -> dict[str, Sequence[Value]]:
    """Return what is known of every node from the edges alone."""
    n, (source, target) = len(graph.names), graph.joined
    degree = np.bincount(source, minlength=n)
    loops = graph.edges[graph.edges[:, 0] == graph.edges[:, 1], 0]
    pairs = np.maximum(degree * (degree - 1) / 2, 1)
    known: dict[str, np.ndarray] = {
        "degree": np.log1p(degree),
        "clustering": triangles(source, target, n) / pairs,
        "loops": np.bincount(loops, minlength=n),
        "size": np.full(n, np.log(n)),
    }
    if graph.directed:
        apart = np.unique(graph.edges[graph.edges[:, 0] != graph.edges[:, 1]], axis=0)
        known["out"], known["in"] = (np.log1p(np.bincount(x, minlength=n)) for x in apart.T)
    return {name: values.astype(np.float64).tolist() for name, values in known.items()}


def triangles(
    source: Int64[np.ndarray, " m"], target: Int64[np.ndarray, " m"], n: int
) -> Float[np.ndarray, " n"]:
    """Return in how many triangles every node is, of pairs that stand there both ways.

    Every pair is kept one way, from fewer neighbours to more: then no node keeps more than
    sqrt(m), and the products below stay small also where one node has all others as neighbours.
    """
    degree = np.bincount(source, minlength=n)
    rank = np.empty(n, np.int64)
    rank[np.lexsort((np.arange(n), degree))] = np.arange(n)
    up = rank[source] < rank[target]
    kept = csr_array((np.ones(up.sum()), (source[up], target[up])), shape=(n, n))
    ends = (kept @ kept) * kept
    between = (kept.T @ kept) * kept
    total: np.ndarray = ends.sum(axis=1) + ends.sum(axis=0) + between.sum(axis=1)
    return total


def fitted(part: Part, name: str, values: Sequence[Value]) -> Column:
    """Return an attribute of these values: of categories if one of them is a word."""
    column = Values.of(values)
    if column.words:
        counts = column.counts()
        kept = sorted(counts, key=lambda known: (-counts[known], known))[:MOST_CATEGORIES]
        unknown = len(values) - sum(counts[known] for known in kept)
        shares = np.array([*(counts[known] for known in kept), unknown]) / len(values)
        shares = np.clip(shares, LEAST_SHARE, 1 - LEAST_SHARE)
        deviations = np.sqrt(shares * (1 - shares)).tolist()
        return Column(part, name, tuple(kept), deviations=tuple(deviations))
    numbers = column.known
    if not len(numbers):
        return Column(part, name)
    deviation = float(numbers.std())
    alike = deviation <= LEAST_DEVIATION * float(np.abs(numbers).max())
    return Column(part, name, None, float(numbers.mean()), 1.0 if alike else deviation)
