"""Synthetic defects: planted in normal images, each with its mask, to learn and to judge by.

A defect is an altered image and an opacity o in 0..1 by which it covers the original::

    out = image + o (altered - image),     mask = o > 1/25

Outside the mask nothing changes. Two families share no way of altering pixels, so that what was
learnt from the one is judged on the other. Sizes are drawn in relation to the image, from faint and
small to gross.

Source: Li et al., "CutPaste", arXiv:2104.04015 (patches and scar-like scratches as stand-ins for
defects); Zavrtanik et al., "DRAEM", arXiv:2108.07610 (opacity over an irregular mask). Ours: drawn
shapes for Perlin noise, and the family kept for judging.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates

Pixels = UInt8[np.ndarray, "h w 3"]
Plane = Float[np.ndarray, "h w"]
Mask = Bool[np.ndarray, "h w"]
Altered = tuple[Float[np.ndarray, "h w 3"], Plane]
"""The altered image in grey levels, and its opacity."""
Defect = Callable[[Pixels, np.random.Generator], Altered]

VISIBLE = 1 / 25
MIN_SIDE_PX = 16


def _spot(image: Pixels, rng: np.random.Generator) -> Plane:
    """Return the opacity, 0..1, of an irregular round spot of 0.2 to 4 % of the area."""
    height, width = image.shape[:2]
    radius = np.sqrt(np.exp(rng.uniform(np.log(0.002), np.log(0.04))) * height * width / np.pi)
    radius = max(float(radius), 2.0)
    row, column = rng.uniform(0.1, 0.9, size=2) * (height, width)
    rows, columns = np.mgrid[:height, :width]
    stretch = np.exp(rng.uniform(-0.5, 0.5))
    down, across = (rows - row) * stretch, (columns - column) / stretch
    waves, phases = np.arange(2, 9), rng.uniform(0, 2 * np.pi, size=7)
    heights = 0.15 * rng.standard_normal(7) * 2 / waves
    rim = radius * (
        1 + np.sum(heights * np.cos(waves * np.arctan2(down, across)[..., None] + phases), 2)
    )
    opacity: Plane = np.clip((rim - np.hypot(down, across)) / 1.5 + 0.5, 0, 1)
    return opacity


def _colour(image: Pixels, rng: np.random.Generator) -> Float[np.ndarray, " 3"]:
    """Return a colour 30 to 130 grey levels off the image's mean, tinted a little."""
    sign = 1 if rng.random() < 0.5 else -1
    colour = image.mean(axis=(0, 1)) + sign * rng.uniform(30, 130) + rng.normal(0, 12, size=3)
    clipped: np.ndarray = np.clip(colour, 0, 255)
    return clipped


def cut_paste(image: Pixels, rng: np.random.Generator) -> Altered:
    """Move a piece of the image elsewhere in it, mirrored and tinted, so that texture breaks."""
    shift = (rng.uniform(0.15, 0.85, size=2) * image.shape[:2]).astype(int)
    moved = np.roll(image, shift, axis=(0, 1)).astype(np.float64)
    turned = moved[::-1] if rng.random() < 0.5 else moved[:, ::-1]
    return np.clip(turned * rng.uniform(0.75, 1.25, size=3), 0, 255), _spot(image, rng)


def scratch(image: Pixels, rng: np.random.Generator) -> Altered:
    """Draw a bent line of one colour, 1 to 3 px wide for every 160 px of the image."""
    height, width = image.shape[:2]
    zoom, extent = 4, np.array([width, height])
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(0.15, 0.7)
    turns = angle + np.cumsum(rng.normal(0, 0.2, size=8))
    steps = length / 8 * np.stack([np.cos(turns), np.sin(turns)], axis=1)
    points = (rng.uniform(0.2, 0.8, size=2) + np.cumsum(steps, axis=0) - steps[:4].sum(0)) * extent
    canvas = Image.new("L", (width * zoom, height * zoom))
    thickness = max(round(rng.uniform(1, 3) * zoom * min(height, width) / 160), zoom)
    ImageDraw.Draw(canvas).line([(float(x), float(y)) for x, y in points * zoom], 255, thickness)
    coverage = np.asarray(canvas.resize((width, height), Image.Resampling.BOX), np.float64) / 255
    altered = np.broadcast_to(_colour(image, rng), image.shape)
    return altered, rng.uniform(0.5, 1) * coverage


def stain(image: Pixels, rng: np.random.Generator) -> Altered:
    """Lay a film of one colour on a spot; the texture shows through."""
    altered = np.broadcast_to(_colour(image, rng), image.shape)
    return altered, rng.uniform(0.3, 1) * _spot(image, rng)


def smear(image: Pixels, rng: np.random.Generator) -> Altered:
    """Blur a spot, by 1.5 to 4 px for every 160 px of the image."""
    sigma = rng.uniform(1.5, 4) * min(image.shape[:2]) / 160
    return gaussian_filter(image.astype(np.float64), (sigma, sigma, 0)), _spot(image, rng)


def warp(image: Pixels, rng: np.random.Generator) -> Altered:
    """Twist a spot by up to half a turn at its centre, not at all at its rim."""
    opacity = _spot(image, rng)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    total = opacity.sum()
    row, column = (rows * opacity).sum() / total, (columns * opacity).sum() / total
    down, across = rows - row, columns - column
    reach = np.sqrt(2 * total / np.pi)
    angle = (
        rng.choice([-1, 1]) * rng.uniform(1, 3) * np.clip(1 - np.hypot(down, across) / reach, 0, 1)
    )
    places = [
        row + np.cos(angle) * down - np.sin(angle) * across,
        column + np.sin(angle) * down + np.cos(angle) * across,
    ]
    channels = [
        map_coordinates(image[..., c].astype(np.float64), places, order=1, mode="nearest")
        for c in range(3)
    ]
    return np.stack(channels, axis=2), opacity


def speckle(image: Pixels, rng: np.random.Generator) -> Altered:
    """Sprinkle a spot with grains, each of its own grey."""
    grains = gaussian_filter(rng.standard_normal(image.shape[:2]), 0.8)
    chosen = np.clip(grains / grains.std() - 0.7, 0, 1)
    grey = gaussian_filter(rng.standard_normal(image.shape[:2]), 1.0)
    levels = np.clip(image.mean() + 90 * grey / grey.std(), 0, 255)
    return np.repeat(levels[..., None], 3, axis=2), chosen * _spot(image, rng)


LEARNT: Mapping[str, Defect] = {d.__name__: d for d in (cut_paste, scratch, stain)}
"""What gates are adapted to."""
JUDGED: Mapping[str, Defect] = {d.__name__: d for d in (smear, warp, speckle)}
"""What decides whether it helped."""


def plant(
    image: Pixels, kinds: Mapping[str, Defect], rng: np.random.Generator
) -> tuple[Pixels, Mask]:
    """Return the image with one defect of a kind drawn at random, and where it is.

    Raises:
        ValueError: if a side of the image has less than 16 px.
    """
    if min(image.shape[:2]) < MIN_SIDE_PX:
        raise ValueError(
            f"an image of {image.shape[1]} x {image.shape[0]} px has no room for a defect"
        )
    kind = kinds[str(rng.choice(sorted(kinds)))]
    altered, opacity = kind(image, rng)
    mask = opacity > VISIBLE
    mixed = image + np.where(mask, opacity, 0.0)[..., None] * (altered - image)
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8), mask
