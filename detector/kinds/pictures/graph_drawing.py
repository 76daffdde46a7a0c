"""A drawing of a graph whose odd nodes are coloured, laid out by forces.

Nodes push each other apart and edges pull them together, for n nodes in an area of 1 with the
length l = sqrt(1 / n)::

    push   l^2 / d     between any two at the distance d
    pull   d^2 / l     along every edge, and weakly towards the middle

while the longest step shrinks. Source: Fruchterman & Reingold, "Graph drawing by force-directed
placement", Software: Practice and Experience 21:1129-1164 (1991). Ours: of many nodes a drawn part
pushes, with as much force together; the middle pulls, so that parts that are not joined stay; it
is turned so that it is widest from left to right. It depends on the graph alone.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image, ImageDraw, ImageFont

from detector.kinds.pictures import painting

WIDTH_PX, MARGIN_PX, LEAST_PX = 768, 40, 320
STEPS, PUSHING = 120, 200
ENOUGH, FEWEST_STEPS = 1200, 30
"""Of more nodes than the first, fewer steps are taken, as many as the second at least."""
PAPER, EDGE, OUTLINE, NODE, INK = (255,) * 3, (176, 182, 190), (92, 100, 110), (214, 222, 232), 40
_FINER = 2


def steps_of(n: int) -> int:
    """Return how many steps a graph of n nodes takes."""
    return min(max(STEPS * ENOUGH // n, FEWEST_STEPS), STEPS)


def layout(edges: Int[np.ndarray, "2 m"], n: int) -> Float[np.ndarray, "n 2"]:
    """Return where the nodes lie, about 0, the widest direction first."""
    rng = np.random.default_rng(0)
    at = rng.uniform(-0.5, 0.5, size=(n, 2))
    length = np.sqrt(1 / n)
    steps = steps_of(n)
    for step in range(steps):
        pushing = rng.permutation(n)[:PUSHING]
        x, y = (at[:, None, axis] - at[pushing, axis] for axis in (0, 1))
        near = 1 / np.maximum(x**2 + y**2, 1e-6)
        push = np.stack([(x * near).sum(axis=1), (y * near).sum(axis=1)], axis=1)
        force = length**2 * push * (n / len(pushing))
        along = at[edges[1]] - at[edges[0]]
        pull = along * (np.linalg.norm(along, axis=1, keepdims=True) / length)
        force += np.stack([np.bincount(edges[0], axis, n) for axis in pull.T], axis=1)
        force -= at * length
        size = np.maximum(np.linalg.norm(force, axis=1, keepdims=True), 1e-9)
        at += force / size * np.minimum(size, 0.1 * (1 - step / steps))
    at -= at.mean(axis=0)
    turned: np.ndarray = at @ np.linalg.svd(at, full_matrices=False)[2].T if n > 1 else at
    return turned


def drawn(
    edges: Int[np.ndarray, "2 m"],
    labels: Sequence[str],
    values: Float[np.ndarray, " n"],
    threshold: float | None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the drawing.

    Args:
        edges: rows of the nodes that are joined, each pair both ways.
        labels: of the nodes; written into them where there is room.
        values: the share of the score of each node.
        threshold: on the score, where there is one.
    """
    n = len(labels)
    at = layout(edges, n)
    lowest, extent = at.min(axis=0), np.maximum(np.ptp(at, axis=0), 1e-9)
    room = WIDTH_PX - 2 * MARGIN_PX
    scale = room / extent.max()
    height = max(int(extent[1] * scale) + 2 * MARGIN_PX, LEAST_PX)
    middle = np.array([WIDTH_PX, height]) / 2
    points = ((at - lowest - extent / 2) * scale + middle) * _FINER
    radius = _FINER * float(np.clip(0.3 * room / np.sqrt(n), 3, 16))
    ratios = painting.ratios(values, threshold)
    colours = painting.painted(np.full((1, n, 3), NODE, np.float64), ratios[None])[0]
    image = Image.new("RGB", (WIDTH_PX * _FINER, height * _FINER), PAPER)
    draw = ImageDraw.Draw(image)
    for source, target in edges.T[edges[0] < edges[1]]:
        draw.line([*points[source], *points[target]], fill=EDGE, width=_FINER * 2)
    font = ImageFont.load_default(radius)
    for node in np.argsort(ratios, kind="stable"):  # the oddest on top
        x, y = points[node]
        box = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse(box, fill=tuple(colours[node].tolist()), outline=OUTLINE, width=_FINER)
        if radius >= 8 * _FINER and len(labels[node]) <= 3 and labels[node].isprintable():
            draw.text((x, y), labels[node], fill=(INK,) * 3, font=font, anchor="mm")
    small = image.resize((WIDTH_PX, height), Image.Resampling.LANCZOS)
    return np.asarray(small)
