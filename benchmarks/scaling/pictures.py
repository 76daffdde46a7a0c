"""Photographs of any size: mosaics of real ones, whose pixels are as hard to read."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

QUALITY = 90


def mosaics(photographs: Sequence[Path], folder: Path, megapixels: float, count: int) -> list[str]:
    """Write JPEG files of so many megapixels, square, made of tiles of photographs."""
    side = 8 * round(math.sqrt(megapixels * 1e6) / 8)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(round(1000 * megapixels))
    made = []
    for number in range(count):
        whole = Image.new("RGB", (side, side))
        top = 0
        while top < side:
            left, height = 0, 0
            while left < side:
                with Image.open(photographs[int(rng.integers(len(photographs)))]) as tile:
                    whole.paste(tile, (left, top))
                    left, height = left + tile.width, max(height, tile.height)
            top += height
        path = folder / f"{megapixels:g}-{number:03d}.jpg"
        whole.save(path, quality=QUALITY)
        made.append(str(path))
    return made
