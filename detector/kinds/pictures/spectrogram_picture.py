"""A clip as people look at it: its spectrogram, seconds to the right, frequency upwards."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from detector.kinds.pictures import painting

LEFT, RIGHT, TOP, BOTTOM = 52, 16, 10, 24
HEIGHT, LEAST_WIDTH, MOST_WIDTH = 320, 420, 940
"""Of the spectrogram alone, in pixels."""
_DECADES = 5.0
"""Bels between black and white at most: 50 dB."""
_PAPER, _INK, _LINE = (255, 255, 255), (60, 60, 60), (190, 190, 190)
_TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 4000, 8000, 16_000)
_STEPS_S = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_PER_FRAME = 4
_BLUR_GROUPS, _BLUR_TIME = 0.7, 0.03
"""How widely a share is painted: deviations of a Gaussian, in groups and in parts of the clip."""


def draw(
    spectrogram: Float[np.ndarray, "mels frames"],
    tips_hz: Float[np.ndarray, " mels"],
    hop_s: float,
    values: Float[np.ndarray, "groups frames"],
    sizes: Sequence[int],
    threshold: float | None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Return the picture: loud is light, odd places are painted (``pictures.painting``).

    Args:
        spectrogram: in bels, low bands first.
        tips_hz: the frequency of every band.
        hop_s: from one frame to the next.
        values: shares of the score, of every group of bands in every frame.
        sizes: how many bands each group has.
        threshold: of the score.
    """
    frames = spectrogram.shape[1]
    width = int(np.clip(frames * _PER_FRAME, LEAST_WIDTH, MOST_WIDTH))
    highest = float(spectrogram.max())
    lowest = max(float(spectrogram.min()), highest - _DECADES)
    grey = np.clip((spectrogram - lowest) / max(highest - lowest, 1e-6), 0, 1) * 255
    light = _scaled(grey, width)
    # The share of a maximum lies on one frame: unsmoothed, any clip at all would have red specks.
    odd = gaussian_filter(
        painting.ratios(values, threshold), (_BLUR_GROUPS, frames * _BLUR_TIME), mode="reflect"
    )
    ratio = _scaled(np.repeat(odd, sizes, axis=0), width)
    plot = painting.painted(np.repeat(light[:, :, None], 3, axis=2), ratio)
    picture = Image.new("RGB", (LEFT + width + RIGHT, TOP + HEIGHT + BOTTOM), _PAPER)
    picture.paste(Image.fromarray(plot), (LEFT, TOP))
    _axes(ImageDraw.Draw(picture), tips_hz, frames * hop_s, width)
    return np.asarray(picture)


def _axes(
    pen: ImageDraw.ImageDraw, tips_hz: Float[np.ndarray, " mels"], seconds: float, width: int
) -> None:
    bottom = TOP + HEIGHT
    pen.rectangle((LEFT - 1, TOP - 1, LEFT + width, bottom), outline=_LINE)
    above = bottom
    for hz in _TICKS_HZ:
        at = np.interp(hz, tips_hz, np.arange(len(tips_hz)), left=-1, right=-1)
        y = round(bottom - (at + 0.5) * HEIGHT / len(tips_hz))
        if at < 0 or above - y < 16:  # outside, or its words would touch those below
            continue
        above = y
        pen.line((LEFT - 5, y, LEFT - 1, y), fill=_INK)
        words = f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz"
        pen.text((LEFT - 8, y), words, fill=_INK, anchor="rm")
    step = next((step for step in _STEPS_S if seconds / step <= 8), _STEPS_S[-1])
    for count in range(int(seconds / step) + 1):
        x = round(LEFT + count * step / seconds * width)
        pen.line((x, bottom, x, bottom + 4), fill=_INK)
        pen.text((x, bottom + 6), f"{count * step:g} s", fill=_INK, anchor="ma")


def _scaled(values: Float[np.ndarray, "rows columns"], width: int) -> Float[np.ndarray, "h w"]:
    """Return values as the plot's pixels, the first row lowest."""
    flipped = np.ascontiguousarray(values[::-1], dtype=np.float32)
    image = Image.fromarray(flipped).resize((width, HEIGHT), Image.Resampling.BILINEAR)
    return np.asarray(image, dtype=np.float64)
