"""What the demonstration shows for its results: a table, a ranking per defect, one big picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rich import box
from rich.table import Table

from detector import metrics

GOOD = "good"
COLOURS = {"normal": (46, 160, 67), "anomalous": (218, 54, 51)}
OTHER_COLOUR, PAPER, INK = (140, 140, 140), (250, 250, 250), (30, 30, 30)
COLUMNS, FRAME_PX, GAP_PX, CAPTION_PX, HEADING_PX = 6, 8, 14, 46, 56


@dataclass(frozen=True)
class Scored:
    """A picture as the service painted it, uint8 (h, w, 3), and its judgement.

    ``request_ms`` is how long scoring took, as the client saw it.
    """

    name: str
    kind: str
    picture: NDArray[np.uint8]
    score: float
    threshold: float
    p_value: float
    verdict: str
    request_ms: float


def _table(title: str) -> Table:
    """Return a table without columns, drawn sparingly, to fit a terminal of 80 characters."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def table(results: Sequence[Scored]) -> Table:
    """Return a line per picture, sound ones first as given."""
    out = _table("Scores")
    out.add_column("image", no_wrap=True)
    out.add_column("what it is", no_wrap=True)
    for heading in ("score", "threshold", "p-value"):
        out.add_column(heading, justify="right")
    out.add_column("verdict", no_wrap=True)
    out.add_column("ms", justify="right")
    for result in results:
        numbers = (f"{result.score:.1f}", f"{result.threshold:.1f}", f"{result.p_value:.3f}")
        colour = "#{:02x}{:02x}{:02x}".format(*COLOURS.get(result.verdict, OTHER_COLOUR))
        verdict = f"[{colour}]{result.verdict}[/]"
        out.add_row(
            result.name.removesuffix(".png"),
            result.kind,
            *numbers,
            verdict,
            f"{result.request_ms:.0f}",
        )
    return out


def _scores(results: Sequence[Scored], kind: str) -> NDArray[np.float64]:
    scores = [result.score for result in results if result.kind == kind]
    return np.array(scores, dtype=np.float64)


def ranked_above(results: Sequence[Scored], kind: str) -> bool:
    """Say whether every picture of a kind scores above every good one."""
    return bool(_scores(results, kind).min() > _scores(results, GOOD).max())


def auroc(results: Sequence[Scored]) -> float:
    """Return the area under the ROC curve, defective against good; 1 is a perfect order."""
    scores = np.array([result.score for result in results], dtype=np.float64)
    return metrics.auroc(scores, np.array([result.kind != GOOD for result in results]))


def summary(results: Sequence[Scored]) -> Table:
    """Return a line per kind: its scores, how many were flagged, whether it ranks above good."""
    out = _table("Per kind")
    out.add_column("what it is", no_wrap=True)
    for heading in ("lowest score", "highest score", "flagged"):
        out.add_column(heading, justify="right")
    out.add_column("all above every good")
    for kind in dict.fromkeys(result.kind for result in results):
        scores = _scores(results, kind)
        flagged = sum(r.verdict == "anomalous" for r in results if r.kind == kind)
        answer = "" if kind == GOOD else "yes" if ranked_above(results, kind) else "[bold]no[/]"
        extremes = (f"{scores.min():.1f}", f"{scores.max():.1f}")
        out.add_row(kind, *extremes, f"{flagged} of {scores.size}", answer)
    return out


def poster(results: Sequence[Scored], heading: str) -> Image.Image:
    """Return all pictures, which share one size, in a grid: framed by verdict, captioned."""
    height, width = results[0].picture.shape[:2]
    across, down = width + 2 * FRAME_PX + GAP_PX, height + 2 * FRAME_PX + CAPTION_PX + GAP_PX
    rows = -(-len(results) // COLUMNS)
    size = (COLUMNS * across + GAP_PX, rows * down + HEADING_PX + GAP_PX)
    canvas = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((GAP_PX, GAP_PX), heading, INK, ImageFont.load_default(size=24))
    font = ImageFont.load_default(size=17)
    for place, result in enumerate(results):
        row, column = divmod(place, COLUMNS)
        x, y = GAP_PX + column * across, HEADING_PX + GAP_PX + row * down
        colour = COLOURS.get(result.verdict, OTHER_COLOUR)
        draw.rectangle((x, y, x + width + 2 * FRAME_PX - 1, y + height + 2 * FRAME_PX - 1), colour)
        canvas.paste(Image.fromarray(result.picture), (x + FRAME_PX, y + FRAME_PX))
        below = y + height + 2 * FRAME_PX + 3
        draw.text((x, below), result.kind, INK, font)
        draw.text((x, below + 20), f"{result.score:.1f}  {result.verdict}", colour, font)
    return canvas
