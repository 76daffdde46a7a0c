"""Small graphs as JSON."""

import json

import numpy as np

from detector.kinds.graph import GraphKind, GraphView
from models.plan import Plan

KIND, VIEW = GraphKind(), GraphView()


class Quick(GraphKind):
    """The kind, with three steps of training."""

    plan = Plan(steps=3, rounds=1)


def ring(
    n: int, seed: int = 0, *, odd: bool = False, directed: bool = False, blocks: bool = False
) -> bytes:
    """Return a ring of n nodes with every attribute that there can be.

    Labels alternate, or are one in each half (``blocks``); those of an odd one are dealt anew.
    """
    rng = np.random.default_rng([seed, n])
    labels = ["C" if (2 * row < n if blocks else row % 2) else "O" for row in range(n)]
    if odd:
        labels = [labels[at] for at in rng.permutation(n)]
    nodes = [
        {"id": f"v{row}", "label": label, "charge": rng.normal(), "features": [row % 3, True]}
        for row, label in enumerate(labels)
    ]
    pairs = sorted({(min(row, (row + 1) % n), max(row, (row + 1) % n)) for row in range(n)})
    edges = [
        {"source": f"v{source}", "target": f"v{target}", "bond": "single", "weight": 1.5}
        for source, target in pairs
    ]
    return json.dumps({"directed": directed, "nodes": nodes, "edges": edges}).encode()


def rings(count: int, seed: int = 0, *, odd: bool = False, blocks: bool = False) -> list[bytes]:
    """Return rings of 8 to 16 nodes."""
    sizes = np.random.default_rng(seed).integers(8, 17, size=count)
    return [ring(int(n), 1000 * seed + at, odd=odd, blocks=blocks) for at, n in enumerate(sizes)]
