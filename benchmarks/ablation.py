"""The ablation behind docs/ablation.md: what each choice of descriptor, scorer and option is worth.

    python -m benchmarks.sets SHARED_DATA SETS
    python -m benchmarks.ablation SETS --out OUT [--study scorers ...]

Each study is one or more runs of ``gatewatch bench``; its results lie under OUT/<study>, its table
in OUT/<study>.md: image AUROC by set, clothing as the mean of its ten classes, and the mean over
the four kinds of set, also with each left out.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from app.cli import cli
from benchmarks.sets import contaminated

DEFAULT = "squeeze/fusion"
BASIC = [DEFAULT, "squeeze/gaussian", "regional/regional"]
SCORERS = [
    DEFAULT,
    "squeeze_stats/fusion",
    "regional/regional",
    "regional/kl",
    *(f"{d}/gaussian" for d in ("squeeze", "squeeze_stats", "gate", "gate_logit")),
    *(f"{d}/prototype" for d in ("squeeze", "squeeze_stats", "gate", "gate_logit")),
]
EARLY, MIDDLE, LATE = (
    "+".join(f"blocks.{index}" for index in indices)
    for indices in (range(5), range(5, 11), range(11, 16))
)
OPTIONS = [
    DEFAULT,
    f"{DEFAULT}:aligned=false",
    f"{DEFAULT}:memory=5000",
    f"{DEFAULT}:normalise=zscore",
    f"{DEFAULT}:flips=true",
    "squeeze/gaussian",
    "squeeze/gaussian:normalise=l2",
    "squeeze/gaussian:normalise=zscore",
    "squeeze/gaussian:covariance=diagonal",
    f"squeeze/gaussian:blocks={EARLY}",
    f"squeeze/gaussian:blocks={MIDDLE}",
    f"squeeze/gaussian:blocks={LATE}",
    "regional/regional",
    "regional/regional:aligned=false",
    "regional/regional:memory=5000",
    "regional/regional:blocks=blocks.2+blocks.4",
    "regional/regional:blocks=blocks.7+blocks.10",
    "squeeze/prototype:normalise=zscore",
]

STUDIES = ("scorers", "options", "size", "images", "contaminated")
Run = tuple[str, list[Path], list[str], dict[str, int]]
"""Name, folders, configurations and further arguments of one run of the benchmark."""


def _studies(sets: Path, out: Path) -> dict[str, Callable[[], list[Run]]]:
    industrial = [sets / name for name in ("bsdata", "deeppcb", "demo")]
    everything = [*industrial, sets / "clothing"]

    def dirty() -> list[Run]:
        runs: list[Run] = []
        for percent in (1, 5, 10):
            folders = [out / "contaminated" / f"{percent}" / name for name in ("bsdata", "demo")]
            for folder in folders:
                contaminated(sets / folder.name, folder, percent / 100)
            runs.append((f"{percent} %", folders, BASIC, {}))
        return [("0 %", [sets / "bsdata", sets / "demo"], BASIC, {}), *runs]

    return {
        "scorers": lambda: [("256 px", everything, SCORERS, {})],
        "options": lambda: [("256 px", industrial, OPTIONS, {})],
        "size": lambda: [
            (f"{size} px", industrial, BASIC, {"size": size}) for size in (224, 256, 320, 384)
        ],
        "images": lambda: [
            (f"{count} images", [sets / "bsdata"], BASIC, {"train-limit": count})
            for count in (10, 30, 100, 300)
        ],
        "contaminated": dirty,
    }


def measure(run: Run, folder: Path) -> list[dict[str, object]]:
    """Run the benchmark unless its results are there; return them."""
    _, sets, configurations, further = run
    results = folder / "results.json"
    if not (folder / "summary.md").exists():
        arguments = ["bench", *map(str, sets), "--out", str(folder), "--config", *configurations]
        for key, value in further.items():
            arguments += [f"--{key}", str(value)]
        cli(arguments, standalone_mode=False)
    rows: list[dict[str, object]] = json.loads(results.read_text())
    return rows


def table(measured: Iterable[tuple[str, list[dict[str, object]]]]) -> str:
    """Return a Markdown table: a line per run and configuration, a column per kind of set."""
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for name, rows in measured:
        for row in rows:
            label = f"{row['descriptor']}/{row['scorer']}"
            if row["options"]:
                label += f" {row['options']}"
            kind = str(row["set"]).split("/")[0]
            values[name, label][kind].append(float(str(row["auroc"])))
    kinds = list(dict.fromkeys(kind for line in values.values() for kind in line))
    lines = [
        "| run | configuration | " + " | ".join([*kinds, "mean", "least with one left out"]) + " |",
        "|---|---|" + "---:|" * (len(kinds) + 2),
    ]
    for (name, label), line in values.items():
        means = [float(np.mean(line[kind])) for kind in kinds if kind in line]
        whole = float(np.mean(means))
        without = [float(np.mean(means[:i] + means[i + 1 :])) for i in range(len(means))]
        least = min(without) if len(means) > 1 else whole
        cells = " | ".join(f"{value:.3f}" for value in [*means, whole, least])
        lines.append(f"| {name} | {label} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablation", description=__doc__)
    parser.add_argument("sets", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--study", nargs="*", default=[], choices=STUDIES)
    options = parser.parse_args()
    studies = _studies(options.sets, options.out)
    for study in options.study or studies:
        runs = studies[study]()
        measured = [
            (run[0], measure(run, options.out / study / run[0].replace(" ", "_"))) for run in runs
        ]
        (options.out / f"{study}.md").write_text(table(measured))
        print(f"{study}: {options.out / f'{study}.md'}")


if __name__ == "__main__":
    main()
