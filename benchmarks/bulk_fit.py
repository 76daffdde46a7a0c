"""Images a second of a fit at large, by one process and by shards, and what merging costs.

    python -m benchmarks.bulk_fit FOLDER [--shards 2] [--image-size 256]

Every process is one of ``gatewatch``, pinned to a core of its own, and is timed as a whole: with
loading the backbone, which each shard does for itself, and the time in which it embeds apart.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = [sys.executable, "-m", "app.cli"]
WARM = ["--shard", "1/20", "--out"]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=256)
    asked = parser.parse_args()
    options = ["--image-size", str(asked.image_size), "--hold-out", "0.1"]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "data").mkdir()  # keeps the engine's graph, which is made before it counts
        warm = ["fit", "bulk", str(asked.folder), *options, *WARM, str(work / "warm")]
        said_by(run(work, warm, 0))
        print("| processes | wall s | of that starting | images | images/s while embedding |")
        print("|---|---|---|---|---|")
        for shards in (1, asked.shards):
            wall_s, images, rates = sharded(asked.folder, work, shards, options)
            embedding_s = images / sum(rates)
            print(
                f"| {shards} | {wall_s:.1f} | {wall_s - embedding_s:.1f} | {images} "
                f"| {sum(rates):.1f} |"
            )
        parts = [str(work / f"{number}-of-{asked.shards}") for number in range(1, asked.shards + 1)]
        size = sum(Path(part).stat().st_size for part in parts)
        began_s = time.perf_counter()
        said_by(run(work, ["merge", "bulk", *parts, "--target", "0.2"], 0))
        merged_s = time.perf_counter() - began_s
        print(f"merge and finish, with starting: {merged_s:.1f} s, parts {size / 1e6:.1f} MB")


def sharded(
    folder: Path, work: Path, shards: int, options: list[str]
) -> tuple[float, int, list[float]]:
    """Return the seconds that so many shards take at once, their images, and the rate of each."""
    began_s = time.perf_counter()
    running = []
    for number in range(1, shards + 1):
        out = str(work / f"{number}-of-{shards}")
        words = ["fit", "bulk", str(folder), *options, "--shard", f"{number}/{shards}"]
        running.append(run(work, [*words, "--out", out], number - 1))
    said = [said_by(process) for process in running]
    wall_s = time.perf_counter() - began_s
    images, rates = 0, []
    for text in said:
        # The bar's last line: 120/120 [00:04<00:00, 27.11image/s]
        done, rate = re.findall(r"(\d+)/\d+ \[[^,]*, ([\d.]+)image/s", text)[-1]
        images += int(done)
        rates.append(float(rate))
    return wall_s, images, rates


def said_by(process: "subprocess.Popen[str]") -> str:
    """Return what a command said until it ended; end with it if it failed."""
    _, text = process.communicate()
    if process.returncode:
        raise SystemExit(text)
    return text


def run(work: Path, words: list[str], core: int) -> "subprocess.Popen[str]":
    """Start a command on one core."""
    cores = sorted(os.sched_getaffinity(0))
    environment = os.environ | {
        "GATEWATCH_DATA_DIR": str(work / "data"),
        "GATEWATCH_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [*PROGRAM, *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    os.sched_setaffinity(process.pid, {cores[core % len(cores)]})
    return process


if __name__ == "__main__":
    main()
