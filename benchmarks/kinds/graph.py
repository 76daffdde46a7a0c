"""Graphs of MUTAG and PROTEINS, generated ones, and what counts of nodes and edges make of them.

Each class in turn is normal: seven tenths of its graphs are there to fit, the others and all of the
other class to test, drawn by a fixed seed. The files are node-link JSON whose nodes have a label.

*graph-generated-relations* is generated, and only how nodes stand to each other is odd in it:
rings of 12 to 24 nodes with three chords, the labels A, B and C in a third of the ring each.
Odd are those whose labels are dealt anew (``relabelled``), or exchanged between up to three pairs
of nodes (``swapped``).
Counts of nodes, edges, degrees and labels are distributed as in the normal ones.

The baselines see nodes, edges, how many nodes have the degree 0, 1, ... 9 or more, and how many
have each label of the graphs fitted, or another.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.covariance import OAS
from sklearn.ensemble import IsolationForest

KIND = "graph"
COLLECTIONS = ("MUTAG", "PROTEINS")
FITTED = 0.7
GENERATED = 200
_MOST_DEGREES = 10


def read(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield class and node-link value of every graph of a file.

    The file has a line of "nodes class" a graph, then a line a node: "label degree neighbour...".
    """
    lines = iter(path.read_text().splitlines())
    for _ in range(int(next(lines))):
        size, name = next(lines).split()[:2]
        nodes, edges = [], set()
        for node in range(int(size)):
            label, degree, *rest = next(lines).split()
            nodes.append({"id": node, "label": label})
            for other in map(int, rest[: int(degree)]):
                edges.add((min(node, other), max(node, other)))
        joined = [{"source": source, "target": target} for source, target in sorted(edges)]
        yield name, {"directed": False, "nodes": nodes, "edges": joined}


def sets(shared: Path, out: Path) -> list[Path]:
    """Write a set for every class of every collection below ``out``; return their folders."""
    folders = []
    for collection in COLLECTIONS:
        graphs = list(read(shared / "graphs" / collection / f"{collection}.txt"))
        for normal in sorted({name for name, _ in graphs}):
            folder = out / f"graph-{collection.lower()}-class-{normal}"
            folders.append(folder)
            own = [number for number, (name, _) in enumerate(graphs) if name == normal]
            drawn = np.random.default_rng(0).permutation(own)
            fitted = set(drawn[: int(FITTED * len(own))].tolist())
            for number, (name, graph) in enumerate(graphs):
                split = "test/good" if name == normal else f"test/class-{name}"
                place = folder / ("train/good" if number in fitted else split)
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{number:04}.json").write_text(json.dumps(graph))
    return [*folders, _generated(out / "graph-generated-relations")]


def generated(rng: np.random.Generator, odd: str | None = None) -> dict[str, object]:
    """Return a ring with chords whose labels stand in three arcs, or are dealt otherwise.

    Args:
        rng: of size, turn, chords and labels.
        odd: ``relabelled`` or ``swapped``.
    """
    n = 3 * int(rng.integers(4, 9))
    labels = np.roll(np.repeat(["A", "B", "C"], n // 3), rng.integers(n))
    if odd == "relabelled":
        labels = rng.permutation(labels)
    elif odd == "swapped":
        for one, other in zip(*(rng.choice(n // 3, 3, replace=False) for _ in "ab"), strict=True):
            first, second = rng.permutation(["A", "B", "C"])[:2]
            a, b = np.flatnonzero(labels == first)[one], np.flatnonzero(labels == second)[other]
            labels[[a, b]] = labels[[b, a]]
    edges = {(at, at + 1) for at in range(n - 1)} | {(0, n - 1)}
    while len(edges) < n + 3:
        source, target = sorted(rng.choice(n, 2, replace=False).tolist())
        edges.add((source, target))
    return {
        "directed": False,
        "nodes": [{"id": at, "label": str(label)} for at, label in enumerate(labels)],
        "edges": [{"source": source, "target": target} for source, target in sorted(edges)],
    }


def _generated(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for part, odd, count in (
        ("train/good", None, GENERATED),
        ("test/good", None, GENERATED // 4),
        ("test/relabelled", "relabelled", GENERATED // 4),
        ("test/swapped", "swapped", GENERATED // 4),
    ):
        (folder / part).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            text = json.dumps(generated(rng, odd))
            (folder / part / f"{number:04}.json").write_text(text)
    return folder


def counts(path: Path, labels: Sequence[str]) -> Float[np.ndarray, " d"]:
    """Return what the baselines see of a graph."""
    graph = json.loads(path.read_text())
    ends = Counter(end for edge in graph["edges"] for end in (edge["source"], edge["target"]))
    degrees = [min(ends[node["id"]], _MOST_DEGREES - 1) for node in graph["nodes"]]
    known = Counter(node["label"] for node in graph["nodes"])
    named = [known[label] for label in labels]
    others = len(degrees) - sum(named)
    histogram = np.bincount(degrees, minlength=_MOST_DEGREES)
    seen = [len(degrees), len(graph["edges"]), *histogram, *named, others]
    return np.array(seen, np.float64)


def baseline(
    train: Sequence[Path], test: Sequence[Path], seed: int
) -> Mapping[str, Float[np.ndarray, " n"]]:
    """Return the scores of a Gaussian (OAS) on standardised counts, and of an isolation forest."""
    graphs = (json.loads(path.read_text()) for path in train)
    labels = sorted({node["label"] for graph in graphs for node in graph["nodes"]})
    fitted, asked = (np.stack([counts(path, labels) for path in paths]) for paths in (train, test))
    centre, scale = fitted.mean(axis=0), fitted.std(axis=0)
    scale[scale == 0] = 1
    fitted, asked = (fitted - centre) / scale, (asked - centre) / scale
    forest = IsolationForest(random_state=seed).fit(fitted)
    return {
        "counts, Gaussian": OAS().fit(fitted).mahalanobis(asked),
        "counts, isolation forest": -forest.score_samples(asked),
    }
