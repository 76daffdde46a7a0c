"""Write the pictures of a small brick line into a folder: ``python -m demo.pictures FOLDER``."""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from demo import scenes

GOOD = {"good": (0, 120), "held-out": (10_000, 99), "today": (20_000, 20)}
"""Folders of good pictures: the first seed, and how many; apart, so that no draw serves twice."""
DEFECTS_SEED, EVENING_SEED, EVENING = 30_000, 40_000, 60
LIGHT_LEFT = 0.6


def write(folder: Path) -> None:
    """Write good pictures, one of each defect, and good ones under a lamp that has aged."""
    for name, (first, count) in GOOD.items():
        for at in tqdm(range(count), desc=name, unit=" images"):
            _save(folder / name / f"{at:03d}.png", scenes.scene("good", first + at).picture)
    for kind in scenes.KINDS:
        picture = scenes.scene(kind, DEFECTS_SEED).picture
        _save(folder / "defects" / f"{kind.replace(' ', '-')}.png", picture)
    for at in tqdm(range(EVENING), desc="evening", unit=" images"):
        picture = scenes.scene("good", EVENING_SEED + at).picture
        _save(folder / "evening" / f"{at:03d}.png", (LIGHT_LEFT * picture).astype(np.uint8))


def _save(path: Path, picture: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, compress_level=3)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("say where the pictures go: python -m demo.pictures FOLDER")
    write(Path(sys.argv[1]))
