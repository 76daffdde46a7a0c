"""What an image costs, a model of it, and what clusters would do by the model.

    python -m benchmarks.scaling SHARED_DATA --out OUT [--seconds 8] [--rounds 3] [--quick]
    python -m benchmarks.scaling --out OUT

Configurations differ in the size of the pictures, in how many detectors score them and in whether
the history is kept; each is measured at saturation on one core of its own. The model is fitted to
some and asked for the others, among them two servers on both cores. OUT gets results.json and
scaling.md: costs, the errors of the predictions, and tables of clusters at the prices of
``benchmarks.scaling.assumptions``. Without data the tables are made
anew of OUT/results.json, at whatever is assumed by then. Linux, two cores.
"""

import argparse
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from benchmarks.scaling import costs, report
from benchmarks.scaling.cluster import Load
from benchmarks.scaling.costs import Measured, Work
from benchmarks.scaling.measure import Bench, Configuration, database, engine_s, learn, medians
from benchmarks.scaling.pictures import mosaics
from benchmarks.serving import scene

FITTED = [
    Configuration("0.1 MP", Work(0.1)),
    Configuration("1 MP", Work(1.0)),
    Configuration("4 MP", Work(4.0)),
    Configuration("1 MP, 3 detectors", Work(1.0, 3)),
    Configuration("1 MP, no history", Work(1.0, kept=False)),
    Configuration("0.1 MP, 5 detectors", Work(0.1, 5)),
]
PREDICTED = [
    Configuration("2 MP, 2 detectors", Work(2.0, 2)),
    Configuration("6 MP, no history", Work(6.0, kept=False)),
    Configuration("two servers, 2 MP", Work(2.0), servers=2),
]
TYPICAL = Work(2.0)
"""What the tables of clusters are made for."""
FILES = 24


def main() -> None:
    """Measure, fit, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shared", type=Path, nargs="?")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    results = options.out / "results.json"
    if options.shared is not None:
        seconds = options.seconds or (3.0 if options.quick else 8.0)
        rounds = options.rounds or (1 if options.quick else 3)
        options.out.mkdir(parents=True, exist_ok=True)
        found = _found(options.shared, seconds, rounds, quick=options.quick)
        results.write_text(json.dumps(found, indent=1) + "\n")
    text = _text(json.loads(results.read_text()))
    (options.out / "scaling.md").write_text(text)
    print(text)


def _found(shared: Path, seconds: float, rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return what was measured, for JSON."""
    load_before = os.getloadavg()[0]
    with TemporaryDirectory() as folder:
        found = _measured(shared, Path(folder), seconds, rounds, quick=quick)
        pass_s = engine_s(Path(folder, "service", "data", "engines"))
        typical = Path(folder, "pictures").glob(f"{TYPICAL.megapixels:g}-*.jpg")
        sizes = [path.stat().st_size for path in typical]
    return {
        "heading": (
            f"*{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), load "
            f"before {load_before:.1f}, medians of {rounds} round(s) of {seconds:g} s.*"
        ),
        "rounds": {name: [asdict(each) for each in every] for name, every in found.items()},
        "engine_s": pass_s,
        "file_bytes": sum(sizes) / len(sizes),
    }


def _text(found: dict[str, Any]) -> str:
    """Return the report of what was measured."""
    middle = {
        name: medians([Measured(**{**each, "work": Work(**each["work"])}) for each in rounds])
        for name, rounds in found["rounds"].items()
    }
    fitted, predicted = (
        {each.name: middle[each.name] for each in every} for every in (FITTED, PREDICTED)
    )
    model = costs.fitted([*fitted.values()])
    load = Load(TYPICAL, found["file_bytes"], found["engine_s"])
    return report.markdown(found["heading"], model, fitted, predicted, load)


def _measured(
    shared: Path, folder: Path, seconds: float, rounds: int, *, quick: bool
) -> dict[str, list[Measured]]:
    """Return every round of each configuration; rounds in turn, so that noise meets all alike."""
    every: Sequence[Configuration] = [*FITTED, *PREDICTED]
    chosen = scene.pictures(shared, folder / "png", quick=quick)
    sizes = sorted({each.work.megapixels for each in every})
    pictures = {size: mosaics(chosen.fit, folder / "pictures", size, FILES) for size in sizes}
    found: dict[str, list[Measured]] = {each.name: [] for each in every}
    with database() as kept, tqdm(total=rounds * len(every), unit="load") as bar:
        bench = Bench(folder / "service", kept, pictures)
        bar.set_description("learn")
        with bench.server() as server:
            learn(server, chosen, max(each.work.detectors for each in every))
        for _ in range(rounds):
            for each in every:
                bar.set_description(each.name)
                found[each.name].append(bench.measured(each, seconds))
                bar.update()
    return found


if __name__ == "__main__":
    main()
