"""Law: what a shard needs at most does not grow with its images, but for their names."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TESTS = Path(__file__).parents[1]
FIT = """
import resource, sys
from stub_backbone import stub_embedder
from app.cli import cli
from detector.embedder import Embedder
Embedder.load = lambda *_, **__: stub_embedder()
words = ["fit", "memory", sys.argv[1], "--image-size", "64", "--hold-out", "0.2"]
words += ["--calibration-images", "40", "--shard", "1/1", "--out", sys.argv[2]]
cli(words, standalone_mode=False)
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(folder: Path, images: int) -> int:
    """Make a part of so many pictures in a process of its own; return its peak in KiB."""
    pictures = folder / str(images)
    pictures.mkdir()
    for index in range(images):
        noise = np.random.default_rng(index).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(pictures / f"{index}.bmp")
    environment = os.environ | {
        "PYTHONPATH": str(TESTS),
        "GATEWATCH_DATA_DIR": str(folder / "none"),
        "GATEWATCH_DEVICE": "cpu",
        "MALLOC_ARENA_MAX": "2",  # else the allocator's arenas differ from run to run
    }
    done = subprocess.run(
        [sys.executable, "-c", FIT, str(pictures), str(folder / f"{images}.part")],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert f"of memory, {images} image(s)" not in done.stdout  # some were held out
    return int(done.stdout.split("peak")[-1])


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_images(tmp_path: Path) -> None:
    """Law: 400 and 3,000 images need the same memory, within 10 %."""
    few, many = peak(tmp_path, 400), peak(tmp_path, 3000)
    assert many <= 1.1 * few
