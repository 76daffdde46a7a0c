"""What an image costs, a model of it, and what clusters would do by the model.

    python -m benchmarks.scaling SHARED_DATA --out OUT [--seconds 8] [--rounds 3] [--quick]

Configurations differ in the size of the pictures, in how many detectors score them and in whether
the history is kept; each is measured at saturation on one core of its own. The model is fitted to
some and asked for the others, among them two servers on both cores. OUT gets results.json and
scaling.md: costs, the errors of the predictions, and tables of clusters at the prices of
``benchmarks.scaling.assumptions``. Linux, two cores.
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
    parser.add_argument("shared", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    seconds = options.seconds or (3.0 if options.quick else 8.0)
    rounds = options.rounds or (1 if options.quick else 3)
    options.out.mkdir(parents=True, exist_ok=True)
    load_before = os.getloadavg()[0]
    with TemporaryDirectory() as folder:
        found = _measured(options.shared, Path(folder), seconds, rounds, quick=options.quick)
        pass_s = engine_s(Path(folder, "service", "data", "engines"))
        typical = Path(folder, "pictures").glob(f"{TYPICAL.megapixels:g}-*.jpg")
        sizes = [path.stat().st_size for path in typical]
    fitted = [medians(found[each.name]) for each in FITTED]
    model = costs.fitted(fitted)
    predicted = {each.name: medians(found[each.name]) for each in PREDICTED}
    heading = (
        f"*{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), load "
        f"before {load_before:.1f}, medians of {rounds} round(s) of {seconds:g} s.*"
    )
    load = Load(TYPICAL, sum(sizes) / len(sizes), pass_s)
    named = {each.name: one for each, one in zip(FITTED, fitted, strict=True)}
    text = report.markdown(heading, model, named, predicted, load)
    (options.out / "scaling.md").write_text(text)
    written = {
        "heading": heading,
        "rounds": {name: [_plain(each) for each in every] for name, every in found.items()},
        "theta": {name: list(map(float, theta)) for name, theta in model.theta.items()},
        "utilisation": model.utilisation,
        "errors": {name: costs.error(model, each) for name, each in predicted.items()},
        "engine_s": pass_s,
        "file_bytes": load.file_bytes,
    }
    (options.out / "results.json").write_text(json.dumps(written, indent=1) + "\n")
    print(text)


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


def _plain(measured: Measured) -> dict[str, object]:
    return asdict(measured)


if __name__ == "__main__":
    main()
