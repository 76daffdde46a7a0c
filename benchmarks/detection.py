"""Image AUROC of every scorer on one folder, through the real service over HTTP.

    python -m benchmarks.detection FOLDER [--train-limit 300] [--size 256] [--seed 0] [--out FILE]

FOLDER is laid out train/good, test/good, test/<defect>. The service runs as its own process; images
are sent as they are. Prints a table and, with --out, writes JSON.
"""

import argparse
import json
import random
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from app.sources import SUFFIXES
from demo.service import Service, running
from detector.metrics import auroc
from detector.scorers import SCORERS

CHUNK = 50


@dataclass(frozen=True, slots=True)
class Outcome:
    """One scorer's figures; times are wall-clock per image, seen by the client."""

    scorer: str
    auroc: float
    train_images: int
    test_images: int
    fit_ms_per_image: float
    score_ms_per_image: float


def images(folder: Path) -> list[Path]:
    """Return the images of a folder, sorted."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def measure(
    service: Service, scorer: str, train: list[Path], test: list[Path], size: int
) -> Outcome:
    """Fit a detector with ``scorer`` and score every test image; good ones lie in ``good``."""
    name = f"bench-{scorer}"
    service.create(name, scorer=scorer, image_size=size)
    started_s = time.perf_counter()
    for start in tqdm(range(0, len(train), CHUNK), desc=f"{scorer}: fit", unit="chunk"):
        chunk = [(path.name, path.read_bytes()) for path in train[start : start + CHUNK]]
        service.fit(name, chunk, "extend" if start else "replace")
    fitted_s = time.perf_counter()
    scores = [
        service.score(name, path.read_bytes())[0]["score"]
        for path in tqdm(test, desc=f"{scorer}: score", unit="image")
    ]
    scored_s = time.perf_counter()
    anomalous = np.array([path.parent.name != "good" for path in test])
    return Outcome(
        scorer=scorer,
        auroc=auroc(np.array(scores), anomalous),
        train_images=len(train),
        test_images=len(test),
        fit_ms_per_image=1e3 * (fitted_s - started_s) / len(train),
        score_ms_per_image=1e3 * (scored_s - fitted_s) / len(test),
    )


def run(folder: Path, *, train_limit: int, size: int, seed: int) -> list[Outcome]:
    """Measure every scorer on a folder."""
    train = images(folder / "train" / "good")
    if len(train) > train_limit:
        train = sorted(random.Random(seed).sample(train, train_limit))
    test = [path for kind in sorted((folder / "test").iterdir()) for path in images(kind)]
    with tempfile.TemporaryDirectory() as scratch, running(Path(scratch)) as service:
        service.wait_until_ready()
        return [measure(service, scorer, train, test, size) for scorer in SCORERS]


def main(arguments: list[str] | None = None) -> list[Outcome]:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train-limit", type=int, default=300)
    parser.add_argument("--size", type=int, default=256, help="pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    outcomes = run(
        options.folder, train_limit=options.train_limit, size=options.size, seed=options.seed
    )
    table = Table(title=f"{options.folder.name}, {options.size} px")
    for heading in ("scorer", "image AUROC", "fitted", "scored", "fit ms/image", "score ms/image"):
        table.add_column(heading, justify="left" if heading == "scorer" else "right")
    for item in outcomes:
        table.add_row(
            item.scorer,
            f"{item.auroc:.4f}",
            str(item.train_images),
            str(item.test_images),
            f"{item.fit_ms_per_image:.1f}",
            f"{item.score_ms_per_image:.1f}",
        )
    Console().print(table)
    if options.out:
        options.out.write_text(json.dumps([asdict(item) for item in outcomes], indent=2) + "\n")
    return outcomes


if __name__ == "__main__":
    main()
