"""The engines against one another: torch and ONNX Runtime, in one run, in turns.

    python -m benchmarks.engines [--backbone se-lite0] [--weights FILE] [--side 256] [--threads 1 2]

For every number of threads and batch size: milliseconds an image (median, the engines taking turns
so that a busy machine troubles both alike), the ratio, and how far the rows are apart. The pictures
are scikit-image's photographs, cut at random.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from skimage import data
from tqdm import tqdm

from detector.embedder import Embedder
from detector.embedding import Embedding

PHOTOGRAPHS = ("astronaut", "cat", "coffee", "rocket")
STATISTICS = ("gate", "mean", "std", "maximum", "regional")


def crops(count: int, side_px: int) -> list[np.ndarray]:
    """Return random squares of the photographs, (h, w, 3)."""
    rng, made = np.random.default_rng(0), []
    for index in range(count):
        photograph = getattr(data, PHOTOGRAPHS[index % len(PHOTOGRAPHS)])()
        side = min(*photograph.shape[:2], side_px)
        top, left = (int(rng.integers(extent - side + 1)) for extent in photograph.shape[:2])
        made.append(photograph[top : top + side, left : left + side])
    return made


def apart(ours: Embedding, theirs: Embedding) -> float:
    """Return the largest difference of two embeddings, relative to each statistic's largest."""
    worst = 0.0
    for statistic in STATISTICS:
        for block, wanted in getattr(theirs, statistic).items():
            error = np.abs(getattr(ours, statistic)[block] - wanted).max()
            worst = max(worst, float(error / np.abs(wanted).max()))
    return worst


def measured(engines: dict[str, Embedder], samples: list[np.ndarray], repeats: int) -> list[float]:
    """Return the milliseconds an image of each engine: medians of turns."""
    times_s: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(repeats + 2):
        for name, embedder in engines.items():
            started_s = time.perf_counter()
            embedder.embed(samples)
            if turn >= 2:  # the first two warm the caches
                times_s[name].append(time.perf_counter() - started_s)
    return [1e3 * statistics.median(times) / len(samples) for times in times_s.values()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backbone", default="se-lite0")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    lines = ["| threads | batch | torch, ms | onnx, ms | torch / onnx | rows apart |"]
    lines.append("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, tqdm(unit="batch size") as bar:
        for threads in options.threads:
            engines = {
                engine: Embedder.load(
                    options.backbone,
                    "cpu",
                    threads,
                    options.weights,
                    engine=engine,
                    cache=Path(folder),
                )
                for engine in ("torch", "onnx")
            }
            if not engines["onnx"].warm(options.side, wait=True):
                raise SystemExit("this network has no ONNX engine: see the warning above")
            for batch in options.batches:
                prepared = [
                    engines["torch"].prepare(picture, options.side)
                    for picture in crops(batch, options.side)
                ]
                torch_ms, onnx_ms = measured(engines, prepared, options.repeats)
                worst = apart(*(engines[name].embed(prepared) for name in ("onnx", "torch")))
                lines.append(
                    f"| {threads} | {batch} | {torch_ms:.1f} | {onnx_ms:.1f} "
                    f"| {torch_ms / onnx_ms:.2f} | {worst:.1e} |"
                )
                bar.update()
    print(f"{options.backbone}, {options.side} px, torch {torch.__version__}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
