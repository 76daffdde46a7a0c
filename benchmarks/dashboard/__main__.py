"""Draws the pictures of docs/monitoring.md.

    python -m benchmarks.dashboard OUT [--rate 8] [--count 150] [--seed 0] [--recording FILE]

Plays ``gatewatch simulate --scene tour`` at a service of its own under a Prometheus of its own,
asks the dashboard's queries about it, and writes OUT/monitoring-drifting.png, -traffic.png and
-changed.png. A recording that is there is drawn as it is; one that is not is kept there.
"""

import argparse
from pathlib import Path

from benchmarks.dashboard import draw
from benchmarks.dashboard.record import Recording, record


def main() -> None:
    """Record, unless that was done, and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rate", type=float, default=8)
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--recording", type=Path)
    asked = parser.parse_args()
    if asked.recording and asked.recording.exists():
        recording = Recording.load(asked.recording)
    else:
        recording = record(asked.rate, asked.count, asked.seed)
        if asked.recording:
            recording.save(asked.recording)
    asked.out.mkdir(parents=True, exist_ok=True)
    for name, figure in draw.figures(recording).items():
        figure.savefig(asked.out / f"monitoring-{name}.png")


if __name__ == "__main__":
    main()
