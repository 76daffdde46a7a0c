"""What can happen to pictures: less light, a lens out of focus, damage; on any picture there is."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import gaussian_filter, map_coordinates

from app.simulation.drawing import Pixels

DARKEST = np.array([0.62, 0.60, 0.54])
"""What is left of red, green and blue under a failing lamp, which is warmer too."""
SOFTEST = 0.011
"""Standard deviation of the strongest blur, as a share of the picture's longer side."""


def dimmed(picture: Pixels, strength: float) -> Pixels:
    """Return a picture under a lamp that fails: 0 is none of it, 1 all of it."""
    light = 1 - strength * (1 - DARKEST)
    return np.rint(picture * light).astype(np.uint8)


def blurred(picture: Pixels, strength: float) -> Pixels:
    """Return a picture out of focus: 0 is sharp, 1 the softest."""
    radius = strength * SOFTEST * max(picture.shape)
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius)))


def damaged(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """Return a picture with a scratch, a pit or a stain near its middle."""
    height, width = picture.shape[:2]
    opacity, shade = (_scratch, _pit, _stain)[int(rng.integers(3))]((height, width), rng)
    target = picture * shade if shade < 1 else np.full(picture.shape, 235.0)
    blended = picture + opacity[:, :, None] * (target - picture)
    return np.clip(np.rint(blended), 0, 255).astype(np.uint8)


Size = tuple[int, int]
Damage = tuple[NDArray[np.float64], float]
"""Opacity of each pixel; what it leaves of the light below, or 1 for bare metal."""


def _scratch(size: Size, rng: np.random.Generator) -> Damage:
    """Return a bent line over a third of the picture."""
    zoom, extent = 2, np.array(size[::-1])
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    steps = np.linspace(-0.5, 0.5, 16)[:, None]
    bend = rng.uniform(-0.3, 0.3) * steps**2 * along[::-1]
    length = rng.uniform(0.28, 0.42)
    path = (rng.uniform(0.42, 0.58, 2) + length * steps * along + length * bend) * extent * zoom
    canvas = Image.new("L", (int(extent[0]) * zoom, int(extent[1]) * zoom))
    thickness = max(1, round(rng.uniform(0.008, 0.013) * min(size) * zoom))
    points = [(float(x), float(y)) for x, y in path]
    ImageDraw.Draw(canvas).line(points, fill=220, width=thickness, joint="curve")
    small = canvas.resize((size[1], size[0]), Image.Resampling.BOX)
    return np.asarray(small, np.float64) / 255, 1.0


def _pit(size: Size, rng: np.random.Generator) -> Damage:
    """Return a hole with a ragged rim, nearly black."""
    return np.clip(_blob(size, rng, rng.uniform(0.035, 0.055), 0.25) + 0.5, 0, 1), 0.15


def _stain(size: Size, rng: np.random.Generator) -> Damage:
    """Return a film through which the surface shows."""
    inside = _blob(size, rng, rng.uniform(0.08, 0.12), 0.15)
    return 0.8 * np.clip(inside / 3, 0, 1), 0.45


def _blob(
    size: Size, rng: np.random.Generator, radius: float, roughness: float
) -> NDArray[np.float64]:
    """Return the distance in px to an irregular round rim, positive inside."""
    height, width = size
    row, column = rng.uniform(0.36, 0.64, 2) * size
    down, right = np.mgrid[:height, :width] - np.array([row, column])[:, None, None]
    rim = 1 + roughness * gaussian_filter(rng.standard_normal(360), 12, mode="wrap") * 7
    around = (np.arctan2(down, right) % (2 * np.pi)) * 180 / np.pi
    bumps = map_coordinates(rim, [around], order=1, mode="wrap")
    return np.asarray(radius * min(size) * bumps - np.hypot(down, right))
