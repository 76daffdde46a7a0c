"""Pictures of a product on a belt, as a camera above it sees them: drawn, and never twice the same.

A product is a height map z, lit from the upper left: with n the normal of its surface and l the
direction of the light, a pixel of albedo a is ::

    a (0.4 + 0.75 max(0, n . l))           n ~ (-k dz/dx, -k dz/dy, 1), of length 1

What varies from part to part: where the belt is, where and how turned the part lies on it, the
exposure, how evenly it is lit, and the sensor's noise.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Pixels = NDArray[np.uint8]
Plane = NDArray[np.floating[Any]]

SIDE_PX = 256
RADIUS_PX = 84.0
RELIEF = 0.5
"""k: how steep a surface looks."""
LIGHT = np.array([-0.45, -0.45, 0.77]) / np.linalg.norm([-0.45, -0.45, 0.77])
BELT, CAP, NUT = (0.21, 0.22, 0.21), (0.24, 0.43, 0.66), (0.62, 0.60, 0.55)
"""Albedos of red, green and blue."""
_BELT_PX = 1024


def drawn(numbers: Sequence[int], *, new_product: bool = False) -> Pixels:
    """Return a picture, (256, 256, 3); the same for the same numbers."""
    rng = np.random.default_rng(list(numbers))
    x, y = (
        SIDE_PX / 2 + rng.uniform(-4, 4) - place for place in np.mgrid[:SIDE_PX, :SIDE_PX][::-1]
    )
    radius, angle = np.hypot(x, y), np.arctan2(y, x) + rng.uniform(0, 2 * np.pi)
    z, covered = (_nut if new_product else _cap)(radius, angle)
    body = NUT if new_product else CAP
    grain = 1 + 0.06 * gaussian_filter(rng.standard_normal(z.shape), 0.8)
    shadow = 1 - 0.55 * gaussian_filter(np.roll(covered, (7, 7), (0, 1)), 4)
    lit = _lit(z)
    start = int(rng.integers(_BELT_PX - SIDE_PX))
    below = _belt()[start : start + SIDE_PX] * shadow
    scene = np.stack(
        [
            covered * albedo * lit * grain + (1 - covered) * dark * below
            for albedo, dark in zip(body, BELT, strict=True)
        ],
        axis=2,
    )
    return _exposed(scene, rng)


def _cap(radius: Plane, angle: Plane) -> tuple[Plane, Plane]:
    """Return height and coverage of a screw cap: knurled rim, a groove, three embossed bars."""
    knurls = 1.2 * np.cos(36 * angle) * np.clip((radius - 0.86 * RADIUS_PX) / 4, 0, 1)
    dome: Plane = 16 * np.clip((RADIUS_PX - radius) / 9, 0, 1) ** 0.5
    groove = -4 * np.exp(-(((radius - 0.64 * RADIUS_PX) / 2.5) ** 2))
    across = np.abs(np.sin(1.5 * angle)) * radius
    bars = _edge(7 - across) * _edge(radius - 14) * _edge(0.48 * RADIUS_PX - radius)
    return dome + knurls + groove + 5 * gaussian_filter(bars, 1.2), _edge(RADIUS_PX - radius)


def _nut(radius: Plane, angle: Plane) -> tuple[Plane, Plane]:
    """Return height and coverage of a hexagonal nut with a threaded hole."""
    corner = np.mod(angle, np.pi / 3) - np.pi / 6
    inside = 0.95 * RADIUS_PX - radius * np.cos(corner)
    bevel = 14 * np.clip(inside / 12, 0, 1)
    hole = radius - 0.42 * RADIUS_PX
    thread = 2 * np.cos(1.4 * radius) * _edge(8 - np.abs(hole))
    return bevel + thread, _edge(inside) * _edge(hole)


def _edge(inside: Plane) -> Plane:
    """Return coverage 0..1 of a shape, from the distance in px to its rim, positive inside."""
    return np.asarray(np.clip(0.5 + inside, 0, 1))


def _lit(z: Plane) -> Plane:
    down, right = np.gradient(RELIEF * z)
    facing = (LIGHT[2] - LIGHT[0] * right - LIGHT[1] * down) / np.sqrt(1 + right**2 + down**2)
    return np.asarray(0.4 + 0.75 * np.maximum(0, facing))


@cache
def _belt() -> Plane:
    """Return the belt's reflectance, rib by rib; every picture sees another stretch of it."""
    rng = np.random.default_rng(0)
    size = (_BELT_PX, SIDE_PX)
    ribs = 0.12 * np.sin(np.arange(_BELT_PX) * 2 * np.pi / 16)[:, None]
    coarse, fine = (gaussian_filter(rng.standard_normal(size), sigma) for sigma in (12, 1))
    return np.asarray(1 + ribs + 0.06 * coarse / coarse.std() + 0.06 * fine / fine.std())


def _exposed(scene: Plane, rng: np.random.Generator) -> Pixels:
    rows, columns = np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j]
    slope = rng.normal(0, 0.015, 2)
    light = rng.normal(1, 0.02) * (1 + slope[0] * rows + slope[1] * columns)
    noise = rng.uniform(0.006, 0.01) * rng.standard_normal(scene.shape)
    seen = scene * light[:, :, None] + noise
    pixels: Pixels = np.clip(np.rint(255 * seen), 0, 255).astype(np.uint8)
    return pixels
