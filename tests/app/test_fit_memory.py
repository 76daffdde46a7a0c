"""Law: what fitting needs at most does not grow with the number of images."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FIT = """
import resource, sys
from app.cli import cli
cli(["fit", "memory", sys.argv[1], "--image-size", "64"], standalone_mode=False)
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(folder: Path, images: int) -> int:
    """Fit the default scorer to so many pictures in a process of its own; return its peak."""
    pictures = folder / str(images)
    pictures.mkdir()
    for index in range(images):
        noise = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / f"{index}.bmp")
    environment = os.environ | {
        "GATEWATCH_DATA_DIR": str(folder / f"data-{images}"),
        "GATEWATCH_DEVICE": "cpu",
        "GATEWATCH_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",  # else the allocator's arenas differ from run to run
    }
    done = subprocess.run(
        [sys.executable, "-c", FIT, str(pictures)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return int(done.stdout.split("peak")[-1])


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    """Law: 200 and 2,000 images need the same memory, within 10 %."""
    few, many = peak(tmp_path, 200), peak(tmp_path, 2000)
    assert many <= 1.1 * few
