"""A picture of text whose odd tokens are highlighted, as in an editor.

Every line of the text is wrapped at the width; of a token, or what is between two, the first 100
characters are shown. Of more rows than fit, those around the oddest are
shown, and how many are left out. Colours are those of every map
(``detector.kinds.pictures.painting``).
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from detector.kinds.parsing.log_lines import Span
from detector.kinds.pictures import painting

WIDTH_PX, ROW_PX, MARGIN_PX, TEXT_PX = 960, 24, 16, 15
MOST_ROWS, MOST_CHARACTERS = 40, 100
PAPER, INK, FAINT = (255, 255, 255), (28, 32, 38), (150, 156, 164)
_ROOM_PX = WIDTH_PX - 2 * MARGIN_PX


@dataclass(slots=True)
class _Row:
    """Pieces of text from left to right, each with its token's number, None between tokens."""

    pieces: list[tuple[str, int | None]] = field(default_factory=list)
    width: float = 0.0


def joined(tokens: Sequence[str]) -> tuple[tuple[str, ...], tuple[Span, ...]]:
    """Return tokens as one line of text, with spaces, and where in it they stand."""
    spans, at = [], 0
    for token in tokens:
        spans.append(Span(0, at, at + len(token)))
        at += len(token) + 1
    return (" ".join(tokens),), tuple(spans)


def drawn(
    lines: Sequence[str],
    spans: Sequence[Span],
    values: Float[np.ndarray, " t"],
    threshold: float | None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture.

    Args:
        lines: of the text.
        spans: of the tokens, in order.
        values: the share of the score of each.
        threshold: on the score, where there is one.
    """
    ratios = painting.ratios(values, threshold)
    rows = _chosen(_rows(lines, spans), ratios)
    height = 2 * MARGIN_PX + ROW_PX * len(rows)
    ratio = np.zeros((height, WIDTH_PX))
    texts: list[tuple[float, float, str, tuple[int, int, int]]] = []
    for number, row in enumerate(rows):
        top, x = MARGIN_PX + number * ROW_PX, float(MARGIN_PX)
        for text, token in row.pieces:
            width = _width(text)
            if token is not None:
                box = slice(max(int(x) - 2, 0), int(np.ceil(x + width)) + 2)
                ratio[top + 2 : top + ROW_PX - 1, box] = ratios[token]
            texts.append((x, top + ROW_PX / 2, text, FAINT if token is None else INK))
            x += width
    paper = np.empty((height, WIDTH_PX, 3))
    paper[:] = PAPER
    image = Image.fromarray(painting.painted(paper, ratio))
    pen = ImageDraw.Draw(image)
    for x, y, text, colour in texts:
        pen.text((x, y), text, colour, _font(), anchor="lm")
    return np.asarray(image)


def _rows(lines: Sequence[str], spans: Sequence[Span]) -> list[_Row]:
    """Return the rows of all lines, wrapped; within a token only where it is too long."""
    rows = [_Row()]
    at: list[list[tuple[int, Span]]] = [[] for _ in lines]
    for number, span in enumerate(spans):
        at[span.line].append((number, span))
    for line, inside in zip(lines, at, strict=True):
        if rows[-1].pieces:
            rows.append(_Row())
        end = 0
        for number, span in inside:
            _put(rows, line[end : span.start], None)
            _put(rows, line[span.start : span.end], number)
            end = span.end
        _put(rows, line[end:], None)
    return rows


def _put(rows: list[_Row], text: str, token: int | None) -> None:
    """Add a piece to the last row, or to as many more as it takes."""
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS] + "..."
    text = "".join(each if each.isprintable() else " " for each in text)
    if rows[-1].pieces and _width(text.rstrip()) > _ROOM_PX - rows[-1].width:
        rows.append(_Row())
        text = text if token is not None else text.lstrip()
    while text:
        fitting = text[: _fitting(text)]
        rows[-1].pieces.append((fitting, token))
        rows[-1].width += _width(fitting)
        text = text[len(fitting) :]
        if text:
            rows.append(_Row())


def _fitting(text: str) -> int:
    """Return how many of its characters fit into a row, at least one."""
    widths = itertools.accumulate(map(_advance, text))
    return max(sum(1 for _ in itertools.takewhile(lambda width: width <= _ROOM_PX, widths)), 1)


def _width(text: str) -> float:
    return sum(map(_advance, text), 0.0)


@lru_cache(maxsize=4096)
def _advance(character: str) -> float:
    """Return its width; a text is measured so, without kerning, since there is much to measure."""
    return float(_font().getlength(character))


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(TEXT_PX)


def _chosen(rows: list[_Row], ratios: Float[np.ndarray, " t"]) -> list[_Row]:
    """Return at most ``MOST_ROWS`` rows: the oddest and what is around them, in order."""
    if len(rows) <= MOST_ROWS:
        return rows
    odd = [
        max((float(ratios[token]) for _, token in row.pieces if token is not None), default=-np.inf)
        for row in rows
    ]
    kept: set[int] = set()
    for number in sorted(range(len(rows)), key=lambda each: (-odd[each], each)):
        around = {each for each in (number - 1, number, number + 1) if 0 <= each < len(rows)}
        # Each gap takes a row as well.
        if len(kept | around) + _gaps(kept | around, len(rows)) > MOST_ROWS:
            break
        kept |= around
    shown: list[_Row] = []
    end = 0
    for number in [*sorted(kept), len(rows)]:
        if number > end:
            shown.append(_Row([(f"... {number - end} rows", None)]))
        if number < len(rows):
            shown.append(rows[number])
        end = number + 1
    return shown


def _gaps(kept: set[int], count: int) -> int:
    """Return how many stretches of rows are left out."""
    return sum(each - 1 not in kept and each > 0 for each in kept) + (count - 1 not in kept)
