"""The engines against one another: torch, ONNX Runtime and OpenVINO, in one run, in turns.

    python -m benchmarks.engines [--backbone se-lite0] [--weights FILE] [--side 256] [--threads 1 2]

For every number of threads, batch size and engine beside torch: milliseconds an image (median, the
engines taking turns so that a busy machine troubles all alike), torch's divided by them, and how
far the rows are from torch's. The pictures are scikit-image's photographs, cut at random. OpenVINO
is measured where it is installed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from skimage import data
from tqdm import tqdm

from detector.embedder import Embedder, EngineChoice
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


def measured(
    engines: Mapping[EngineChoice, Embedder], samples: list[np.ndarray], repeats: int
) -> list[float]:
    """Return the milliseconds an image of each engine: medians of turns."""
    times_s: dict[EngineChoice, list[float]] = {name: [] for name in engines}
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
    names: list[EngineChoice] = ["torch", "onnx"]
    if find_spec("openvino"):
        names.append("openvino")
    lines = ["| threads | batch | torch, ms | engine | ms | torch / engine | rows apart |"]
    lines.append("|---|---|---|---|---|---|---|")
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
                for engine in names
            }
            if not all(each.warm(options.side, wait=True) for each in engines.values()):
                raise SystemExit("an engine cannot run this network: see the warning above")
            for batch in options.batches:
                prepared = [
                    engines["torch"].prepare(picture, options.side)
                    for picture in crops(batch, options.side)
                ]
                torch_ms, *others_ms = measured(engines, prepared, options.repeats)
                wanted = engines["torch"].embed(prepared)
                for name, engine_ms in zip(names[1:], others_ms, strict=True):
                    worst = apart(engines[name].embed(prepared), wanted)
                    lines.append(
                        f"| {threads} | {batch} | {torch_ms:.1f} | {name} | {engine_ms:.1f} "
                        f"| {torch_ms / engine_ms:.2f} | {worst:.1e} |"
                    )
                bar.update()
    print(f"{options.backbone}, {options.side} px, torch {torch.__version__}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
