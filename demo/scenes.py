"""Pictures of a brick pavement as a monochrome inspection camera sees it, sound or defective.

The pixels come from photographs inside scikit-image's wheel. A defect is planted before the light
and the sensor noise are applied, so it is lit like its surroundings, and a sound and a defective
picture of one seed are equal outside the defect's mask. All photographs are made grey: the pavement
is, and a coloured defect would give itself away by its colour alone.

Reflectances are float64 (h, w) in 0..1; masks are bool (h, w), true where the defect is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates, shift

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]
Point = tuple[float, float]

SIDE_PX = 256
MATERIAL, OTHER_MATERIALS = "brick.png", ("grass.png", "gravel.png")
COINS = (
    (44.0, 335.0, 27.0, 29.0),
    (51.5, 155.5, 22.0, 23.0),
    (193.5, 213.0, 23.0, 23.5),
    (196.0, 102.0, 20.5, 21.5),
    (260.5, 46.5, 27.0, 28.0),
)
"""Centre (row, column) and half-axes (down, across), in px, of round coins in ``coins.png``."""


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 (h, w, 3), what was done to it, and where if it was local."""

    kind: str
    picture: NDArray[np.uint8]
    mask: Mask | None = None


@cache
def _photograph(name: str) -> Plane:
    """Return one of scikit-image's photographs as grey reflectances."""
    # Not skimage.data, which may download: only what lies in the wheel will do.
    with as_file(files("skimage").joinpath("data", name)) as path, Image.open(path) as image:
        return np.asarray(image.convert("L"), dtype=np.float64) / 255


def _view(name: str, rng: np.random.Generator) -> Plane:
    """Return a random square of a photograph, 224 to 288 px wide there, at ``SIDE_PX``."""
    photograph = _photograph(name)
    side = int(rng.integers(224, 289))
    top, left = (int(rng.integers(extent - side + 1)) for extent in photograph.shape)
    square = Image.fromarray(photograph[top : top + side, left : left + side].astype(np.float32))
    return np.asarray(square.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), np.float64)


def _exposed(reflectance: Plane, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the camera's picture, (h, w, 3): uneven light, contrast, sensor noise."""
    rows, columns = np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j]
    direction, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.1)
    light = 1 + slope * (np.cos(direction) * rows + np.sin(direction) * columns)
    contrast, brightness = rng.uniform(0.9, 1.1), rng.uniform(0.88, 1.14)
    seen = brightness * light * (0.4 + contrast * (reflectance - 0.4))
    seen += rng.uniform(0.004, 0.012) * rng.standard_normal(seen.shape)
    grey = np.clip(np.rint(255 * seen), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _blended(below: Plane, above: Plane | float, opacity: Plane) -> tuple[Plane, Mask]:
    """Return ``above`` laid over ``below`` with an opacity of 0..1, and where it can be seen."""
    mask = opacity > 0.04
    return np.where(mask, below + opacity * (above - below), below), mask


def _blob(rng: np.random.Generator, radius_px: float, roughness: float) -> Plane:
    """Return the signed distance, in px, to an irregular round rim; positive inside."""
    row, column = rng.uniform(1.6 * radius_px, SIDE_PX - 1.6 * radius_px, size=2)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    down, right = rows - row, (columns - column) * rng.uniform(0.75, 1.3)
    angle = np.arctan2(down, right)
    waves = np.arange(2, 25)
    heights = roughness * rng.standard_normal(waves.size) * (2 / waves) ** 1.5
    phases = rng.uniform(0, 2 * np.pi, size=waves.size)
    bumps = heights * np.cos(waves * angle[..., None] + phases)
    return np.asarray(radius_px * (1 + bumps.sum(axis=-1)) - np.hypot(down, right))


def _line(points: list[Point], width_px: float) -> Plane:
    """Return the coverage, 0..1, of an antialiased polyline through points (x, y)."""
    zoom = 4
    canvas = Image.new("L", (SIDE_PX * zoom, SIDE_PX * zoom))
    stretched = [(x * zoom, y * zoom) for x, y in points]
    ImageDraw.Draw(canvas).line(stretched, fill=255, width=round(width_px * zoom), joint="curve")
    return np.asarray(canvas.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX), np.float64) / 255


def scratch(surface: Plane, rng: np.random.Generator) -> tuple[Plane, Mask]:
    """Drag something hard over it: a bent groove of 1.2 to 2.5 px, light, with a shadowed edge."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(110, 180)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    steps = np.linspace(-0.5, 0.5, 24)[:, None]
    bend = rng.uniform(-0.25, 0.25) * steps**2 + 0.002 * rng.standard_normal(steps.shape)
    path = rng.uniform(108, 148, size=2) + length * (steps * along + bend * across)
    groove = _line([(float(x), float(y)) for x, y in path], rng.uniform(1.2, 2.5))
    # A tool skips: the groove is deep here, shallow or interrupted there.
    depth = gaussian_filter(rng.standard_normal(groove.shape), 4)
    pressed = groove * np.clip(0.7 + 0.4 * depth / depth.std(), 0, 1)
    shadowed, dark = _blended(surface, 0.1, 0.6 * shift(pressed, (1.4, 0.9), order=1))
    scratched, light = _blended(shadowed, 0.75, 0.8 * pressed)
    return scratched, dark | light


def stain(surface: Plane, rng: np.random.Generator) -> tuple[Plane, Mask]:
    """Spill a liquid: the texture shows through, darker, darkest at the rim it dried at."""
    inside = _blob(rng, rng.uniform(22, 38), 0.12)
    film = np.clip(inside / 3, 0, 1)
    rim = film * np.exp(-np.square((inside - 3) / 3))
    patches = gaussian_filter(rng.standard_normal(surface.shape), 6)
    strength = rng.uniform(0.35, 0.5) + 0.05 * patches / patches.std()
    return _blended(surface, 0.3 * surface, np.clip(strength * film + 0.25 * rim, 0, 1))


def hole(surface: Plane, rng: np.random.Generator) -> tuple[Plane, Mask]:
    """Break a piece out: a dark pit of 9 to 16 px with a chipped rim, lit on one side."""
    inside = _blob(rng, rng.uniform(9, 16), 0.14)
    chipped = np.clip((inside + 3) / 1.5, 0, 1)
    slope = shift(inside, (2, 1), order=1, mode="nearest") - inside
    broken, rim = _blended(surface, np.clip(0.5 + 0.14 * slope, 0.1, 0.85), 0.8 * chipped)
    grain = gaussian_filter(rng.standard_normal(surface.shape), 1.0)
    floor = np.clip(0.09 + 0.05 * grain / grain.std(), 0.02, 0.3)
    pit, deep = _blended(broken, floor, np.clip((inside + 0.5) / 2, 0, 1))
    return pit, rim | deep


def foreign_object(surface: Plane, rng: np.random.Generator) -> tuple[Plane, Mask]:
    """Lay a coin on it, cut out of another photograph, turned, scaled and casting a shadow."""
    row, column, half_down, half_across = COINS[int(rng.integers(len(COINS)))]
    angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 0.9)
    y, x = rng.uniform(36, SIDE_PX - 36, size=2)
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX]
    # From the scene back to the photograph, relative to the coin's centre.
    down = (np.cos(angle) * (rows - y) - np.sin(angle) * (columns - x)) / zoom
    right = (np.sin(angle) * (rows - y) + np.cos(angle) * (columns - x)) / zoom
    coin = map_coordinates(_photograph("coins.png"), [row + down, column + right], order=1)
    inside = zoom * half_down * (1 - np.hypot(down / half_down, right / half_across))
    body = np.clip(inside, 0, 1)
    shadow = 0.75 * shift(gaussian_filter(body, 1.5), (3, 2), order=1)
    shadowed, dark = _blended(surface, 0.05, shadow)
    covered, bright = _blended(shadowed, coin, body)
    return covered, dark | bright


LOCAL: dict[str, Callable[[Plane, np.random.Generator], tuple[Plane, Mask]]] = {
    "scratch": scratch,
    "stain": stain,
    "hole": hole,
    "foreign object": foreign_object,
}
KINDS = (*LOCAL, "blur", "wrong material")


def scene(kind: str, seed: int) -> Scene:
    """Return the picture of one seed: ``good``, or with one of ``KINDS``."""
    # Separate streams, so that the defect's draws leave the view, the light and the noise alone.
    framing, defect, camera = (np.random.default_rng([seed, stream]) for stream in range(3))
    material = str(defect.choice(OTHER_MATERIALS)) if kind == "wrong material" else MATERIAL
    softness_px = framing.uniform(0, 0.6)
    if kind == "blur":
        softness_px = defect.uniform(2.0, 3.5)
    surface = gaussian_filter(_view(material, framing), softness_px)
    mask = None
    if kind in LOCAL:
        surface, mask = LOCAL[kind](surface, defect)
    return Scene(kind, _exposed(surface, camera), mask)
