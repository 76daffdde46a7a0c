"""A clip as a picture: some of its frames, and below them the curve of how odd every frame is.

Of each of the strip's equal parts of time the oddest frame is shown, with a bar of its colour.
Curve and colours are on ``painting``'s scale: 1, a dashed line, is where a clip all of whose frames
were like that would be at the threshold.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from detector.kinds.pictures.painting import painted, ratios

STRIP, FRAME_PX, GAP = 8, 96, 4
_LEFT, _CURVE, _BAR, _BELOW = 40, 150, 8, 20
_TOP = FRAME_PX + _BAR + 3 * GAP
WIDTH, HEIGHT = _LEFT + STRIP * (FRAME_PX + GAP), _TOP + _CURVE + _BELOW
_PAPER, _INK, _LINE = (255, 255, 255), (60, 60, 60), (150, 150, 150)
_LEAST_TOP = 1.25
"""The curve's range reaches above the line, so that this is seen."""


def filmstrip(
    frames: UInt8[np.ndarray, "t h w 3"],
    times: Sequence[float],
    unit: str,
    values: Float[np.ndarray, " t"],
    threshold: float | None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Return the picture.

    Args:
        frames: of the clip.
        times: of every frame, rising.
        unit: of the times, "" for numbers of frames.
        values: every frame's share of the score.
        threshold: of the score; without one, the greatest share stands for the line's double.
    """
    ratio = ratios(values, threshold)
    picture = Image.new("RGB", (WIDTH, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(picture)
    parts = np.array_split(np.arange(len(frames)), min(STRIP, len(frames)))
    shown = [int(part[np.argmax(ratio[part])]) for part in parts]
    top = max(float(ratio.max(initial=0)) * 1.1, _LEAST_TOP)
    lowest = min(float(ratio.min(initial=0)), 0.0)
    xs = np.linspace(_LEFT, WIDTH - GAP - 1, len(frames))
    ys = _TOP + (_CURVE - 1) * (1 - (ratio - lowest) / (top - lowest))
    for part, at in enumerate(shown):
        _frame(picture, draw, frames[at], ratio[at], part)
        draw.line([(xs[at], _TOP), (xs[at], _TOP + _CURVE)], fill=(225, 225, 225))
    colours = _colours(ratio)
    zero = _TOP + (_CURVE - 1) * (1 + lowest / (top - lowest))
    for at in range(len(frames) - 1):  # coloured below the curve
        corners = [(xs[at], zero), (xs[at], ys[at]), (xs[at + 1], ys[at + 1]), (xs[at + 1], zero)]
        draw.polygon(corners, fill=colours[at if ratio[at] >= ratio[at + 1] else at + 1])
    draw.line(list(zip(xs, ys, strict=True)), fill=_INK, width=2)
    level = _TOP + (_CURVE - 1) * (1 - (1 - lowest) / (top - lowest))
    for x in range(_LEFT, WIDTH - GAP, 10):
        draw.line([(x, level), (x + 5, level)], fill=_LINE)
    draw.text((4, level - 6), "line" if threshold is not None else "half", fill=_INK)
    draw.line([(_LEFT, _TOP), (_LEFT, _TOP + _CURVE)], fill=_INK)
    draw.line([(_LEFT, zero), (WIDTH - GAP, zero)], fill=_INK)
    for at in np.unique(np.linspace(0, len(frames) - 1, 6).round().astype(int)):
        text = f"{times[at]:.3g} {unit}" if unit else f"{times[at]:.0f}"
        half = draw.textlength(text) / 2
        x = min(max(xs[at] - half, 0), WIDTH - 2 * half - 1)
        draw.text((x, _TOP + _CURVE + 4), text, fill=_INK)
    return np.asarray(picture)


def _colours(ratio: Float[np.ndarray, " t"]) -> list[tuple[int, int, int]]:
    ground = np.full((1, len(ratio), 3), 215.0)
    return [(int(r), int(g), int(b)) for r, g, b in painted(ground, ratio[None])[0]]


def _frame(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    frame: UInt8[np.ndarray, "h w 3"],
    ratio: float,
    part: int,
) -> None:
    """Draw one frame of the strip, and the bar below it in the colour of its oddness."""
    left = _LEFT + part * (FRAME_PX + GAP)
    picture.paste(Image.fromarray(frame).resize((FRAME_PX, FRAME_PX)), (left, GAP))
    colour = _colours(np.array([ratio]))[0]
    box = (left, FRAME_PX + 2 * GAP, left + FRAME_PX - 1, FRAME_PX + 2 * GAP + _BAR - 1)
    draw.rectangle(box, fill=colour)
