"""The service under load, beside its limit and a plain server, in one run.

    python -m benchmarks.serving SHARED_DATA --out OUT [--seconds 10] [--rounds 3] [--soak 10]
        [--quick]

A real server on its defaults, with a default detector fitted to pictures of the shared data, and a
plain FastAPI handler around the same network in torch. In rounds, so that a busy machine troubles
all alike: the stages of a score without HTTP; 1, 8 and 64 clients of either server; 50 to 1000 % of
the capacity of that round at random arrivals; scoring beside a fit. Once: one picture against 100
detectors; with ``--soak``, so many minutes at 1000 % and what memory grows by. OUT gets
results.json (every round, and medians), serving.md and serving.png. ``--quick`` is for trying it
out: one short round, three detectors. Linux only.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from benchmarks.serving import many, plot, report, scene, soak, stages
from benchmarks.serving.figures import Figures, Summary, as_figures, medians
from benchmarks.serving.processes import gatewatch, started
from benchmarks.serving.rounds import CLIENTS, SHARES, Bench
from models.cores import cores

STEPS = 1 + 2 * len(CLIENTS) + len(SHARES) + 2
PLAIN_PICTURES = 64
LOG_TAIL = 3000


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, help="of each load")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--detectors", type=int, help="that one picture is scored against")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="of 1000 %%, in the end")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    seconds = options.seconds or (2.0 if options.quick else 10.0)
    count = options.rounds or (1 if options.quick else 3)
    detectors = options.detectors or (3 if options.quick else 100)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        chosen = scene.pictures(options.shared, Path(folder, "png"), quick=options.quick)
        rounds = _rounds(Path(folder), chosen, seconds, count, options.soak)
        engines = Path("data", "engines")  # as they are: an export takes long
        shutil.copytree(Path(folder, "ours") / engines, Path(folder, "many") / engines)
        print(f"one picture against {detectors} detectors", file=sys.stderr)
        rounds[0].update(many.measured(Path(folder, "many"), chosen, detectors))
    found = medians(rounds)
    heading = (
        f"*{datetime.now(UTC):%Y-%m-%d}, {cores()} cores ({platform.machine()}), load before "
        f"{os.getloadavg()[0]:.1f}, medians of {count} round(s) of {seconds:g} s.*"
    )
    written = {
        "heading": heading,
        "seconds": seconds,
        "medians": found,
        "ratios": report.ratios(found),
        "rounds": [{name: as_figures(part) for name, part in one.items()} for one in rounds],
    }
    (options.out / "results.json").write_text(json.dumps(written, indent=1) + "\n")
    text = report.markdown(found, heading)
    (options.out / "serving.md").write_text(text)
    plot.draw(found, options.out / "serving.png")
    print(text)


def _rounds(
    folder: Path, chosen: scene.Pictures, seconds: float, count: int, minutes: float | None
) -> list[dict[str, Summary | Figures]]:
    plain = [str(path) for path in chosen.fit[:PLAIN_PICTURES]]
    with (
        gatewatch(folder / "ours") as ours,
        started("benchmarks.serving.plain", plain, folder / "plain", {}) as other,
        tqdm(total=STEPS * count, unit="load") as bar,
    ):
        bar.set_description("learn")
        scene.learn(ours, scene.NAME, chosen)
        if (engine := scene.wait_for_engine(ours)) != "onnx":
            log = (folder / "ours" / "server.log").read_text()
            raise SystemExit(f"{log[-LOG_TAIL:]}\npictures are seen by {engine}, not by onnx")

        def say(name: str) -> None:
            bar.set_description(name)
            bar.update()

        sent = [str(path) for path in chosen.score]
        plan = stages.Plan(sent, str(folder / "ours" / "data"), scene.NAME, seconds)
        fitted = scene.uploads(chosen.fit)
        bench = Bench(ours, other, sent, fitted, plan, seconds, say)
        rounds = [bench.round(number) for number in range(count)]
        if minutes:
            bar.set_description(soak.NAME)
            rate = SHARES[-1] * report.capacity(medians(rounds))
            rounds[0][soak.NAME] = soak.measured(ours, sent, rate, minutes)
        return rounds


if __name__ == "__main__":
    main()
