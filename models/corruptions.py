"""Corruptions of a photograph: what the gates learn to distrust.

Each takes an image, uint8 (h, w, 3), and a random generator, and returns a corrupted copy of the
same shape. Global ones imitate a camera (noise, blur, exposure, colour cast), local ones a foreign
thing in view (occlusion, cut-and-paste, scratches). Severity is drawn per image, from faint to
gross.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
Corruption = Callable[[Pixels, np.random.Generator], Pixels]


def _clipped(values: NDArray[np.float64] | NDArray[np.float32]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def noise(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Add Gaussian noise with a deviation of 5 to 60 grey levels, grey or per channel."""
    shape = image.shape if rng.random() < 0.5 else (*image.shape[:2], 1)
    return _clipped(image + rng.uniform(5, 60) * rng.standard_normal(shape))


def blur(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Blur with a Gaussian of 0.7 to 4 px."""
    radius = rng.uniform(0.7, 4.0)
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def exposure(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Change gamma by up to a factor of 3 and compress or stretch the contrast about the mean."""
    gamma, contrast = np.exp(rng.uniform(-1.1, 1.1)), rng.uniform(0.4, 1.7)
    values = 255 * (image / 255.0) ** gamma
    return _clipped(values.mean() + contrast * (values - values.mean()))


def colour_cast(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Scale the colour channels apart, by 0.6 to 1.5 each."""
    return _clipped(image * rng.uniform(0.6, 1.5, size=3))


def _rectangle(image: Pixels, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return (top, left, height, width) of a random rectangle of 2 to 20 % of the area."""
    height, width = image.shape[:2]
    aspect = np.exp(rng.uniform(-1, 1))
    side = np.sqrt(rng.uniform(0.02, 0.2) * height * width)
    tall, wide = (
        int(np.clip(v, 2, m)) for v, m in ((side * aspect, height), (side / aspect, width))
    )
    return int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1)), tall, wide


def occlusion(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Cover a rectangle with one colour."""
    top, left, tall, wide = _rectangle(image, rng)
    out = image.copy()
    out[top : top + tall, left : left + wide] = rng.integers(0, 256, size=3)
    return out


def cut_and_paste(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Move a rectangle of the image elsewhere in it, turned and tinted, so that texture breaks."""
    top, left, tall, wide = _rectangle(image, rng)
    patch = image[top : top + tall, left : left + wide]
    patch = np.rot90(patch, k=int(rng.integers(4)))
    patch = _clipped(patch * rng.uniform(0.5, 1.5, size=3))
    tall, wide = min(patch.shape[0], image.shape[0]), min(patch.shape[1], image.shape[1])
    top = int(rng.integers(image.shape[0] - tall + 1))
    left = int(rng.integers(image.shape[1] - wide + 1))
    out = image.copy()
    out[top : top + tall, left : left + wide] = patch[:tall, :wide]
    return out


def scratches(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Draw one to six bent lines, 1 to 4 px wide, each in one colour."""
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    extent = np.array([image.shape[1], image.shape[0]])
    for _ in range(int(rng.integers(1, 7))):
        start = rng.uniform(0, 1, size=2) * extent
        steps = rng.normal(0, 0.15, size=(4, 2)) * extent
        points = np.vstack([start, start + np.cumsum(steps, axis=0)])
        colour = tuple(int(v) for v in rng.integers(0, 256, size=3))
        draw.line([(float(x), float(y)) for x, y in points], colour, int(rng.integers(1, 5)))
    return np.asarray(canvas)


CORRUPTIONS: dict[str, Corruption] = {
    corruption.__name__: corruption
    for corruption in (noise, blur, exposure, colour_cast, occlusion, cut_and_paste, scratches)
}
CLEAN_SHARE = 0.1
SECOND_SHARE = 0.3


def corrupt(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Return the image with one corruption, sometimes two; a tenth of the time as it is."""
    draw = rng.random()
    if draw < CLEAN_SHARE:
        return image
    count = 2 if draw > 1 - SECOND_SHARE else 1
    for name in rng.choice(sorted(CORRUPTIONS), size=count, replace=False):
        image = CORRUPTIONS[str(name)](image, rng)
    return image
