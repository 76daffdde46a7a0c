"""Images per second of a fit at large: one process, two shards, and Ray with two workers.

    python -m benchmarks.ray_fit FOLDER

All of them begin anew on the same folder, in turns, and the best of each is told (``--rounds``),
with the time that processes take to start and to load the backbone, Ray's to start a cluster, and
without that of merging the shards. So give it a folder of some thousand images.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ray
from rich.console import Console
from rich.table import Table


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    images = sum(1 for each in folder.rglob("*") if each.is_file())
    ways = {
        "one process": [["--hold-out", "0.1"]],
        "two shards": [["--shard", f"{n}/2", "--out", f"{n}.part"] for n in (1, 2)],
        "Ray, 2 workers": [["--engine", "ray", "--workers", "2", "--decoders", "1"]],
    }
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(asked.rounds):
        for way, commands in ways.items():
            found[way].append(_seconds(folder, commands))
    table = Table(title=f"{images} images, {os.cpu_count()} cores, Ray {ray.__version__}")
    for column in ("way", "s", "images/s"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for way, seconds in found.items():
        table.add_row(way, f"{min(seconds):.1f}", f"{images / min(seconds):.1f}")
    Console().print(table, f"Python {platform.python_version()}", sep="\n")


def _seconds(folder: Path, commands: list[list[str]]) -> float:
    """Return how long commands take that run beside each other."""
    with tempfile.TemporaryDirectory() as place:
        variables = os.environ | {
            "GATEWATCH_DATA_DIR": f"{place}/data",
            "GATEWATCH_ENGINE": "torch",
            "GATEWATCH_DEVICE": "cpu",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        began_s = time.perf_counter()
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "app.cli", "fit", "bolts", str(folder), *words],
                env=variables,
                cwd=place,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for words in commands
        ]
        for process in processes:
            _, said = process.communicate()
            if process.returncode:
                raise SystemExit(said.decode())
        return time.perf_counter() - began_s


if __name__ == "__main__":
    main()
