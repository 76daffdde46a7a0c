"""Train small networks of every family, with and without SE, and write what came of it.

    python -m benchmarks.families SHARED_DATA --out OUT [--seeds 3] [--only audio]

Writes OUT/families.csv, a line a run, OUT/families.md, the table of docs/se-networks.md, and
OUT/se-families.png, the training losses. A run takes seconds to a minute on two cores.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev

import torch
from tqdm import tqdm

from benchmarks.families.tasks import TASKS, Task
from benchmarks.families.training import Run, train


def run(shared: Path, tasks: Sequence[Task], seeds: int) -> list[Run]:
    """Return the runs of all tasks, with SE and without, seed by seed."""
    runs = []
    with tqdm(total=2 * seeds * len(tasks), unit="run") as bar:
        for task in tasks:
            for seed in range(seeds):
                split, collate = task.load(shared, seed)
                for se in (False, True):
                    bar.set_postfix_str(f"{task.name}, {'with' if se else 'without'} SE")
                    runs.append(train(task, split, collate, se=se, seed=seed))
                    bar.update()
    return runs


def table(tasks: Sequence[Task], runs: Sequence[Run]) -> str:
    """Return the runs as a table in Markdown: mean and standard deviation over the seeds."""
    lines = [
        "| family / data | question | measure | without SE | with SE | difference, seed by seed |"
        " parameters, without / with | seconds, without / with |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task in tasks:
        plain, gated = (
            [run for run in runs if run.task == task.name and run.se == se] for se in (False, True)
        )
        apart = [g.measure - p.measure for p, g in zip(plain, gated, strict=True)]
        cells = [
            task.name,
            task.question,
            "AUROC" if task.binary else "accuracy",
            _spread([run.measure for run in plain]),
            _spread([run.measure for run in gated]),
            _spread(apart, "+.3f"),
            f"{plain[0].parameters:,} / {gated[0].parameters:,}",
            f"{mean(run.train_s for run in plain):.0f} / {mean(run.train_s for run in gated):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float], form: str = ".3f") -> str:
    deviation = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):{form}}{deviation}"


def plot(tasks: Sequence[Task], runs: Sequence[Run], file: Path) -> None:
    """Draw the training loss of every run, a panel a task."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = 4
    rows = -(-len(tasks) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(14, 2.8 * rows), squeeze=False)
    for panel in axes.flat[len(tasks) :]:
        panel.set_visible(False)
    for panel, task in zip(axes.flat, tasks, strict=False):
        for each in runs:
            if each.task == task.name:
                epochs = range(1, len(each.losses) + 1)
                panel.plot(epochs, each.losses, color="C1" if each.se else "C0", alpha=0.7)
        panel.set_title(task.name, fontsize=9)
        panel.set_xlabel("epoch", fontsize=8)
        panel.set_ylabel("training loss", fontsize=8)
    figure.suptitle("Training loss without SE (blue) and with SE (orange), each seed a line")
    figure.tight_layout()
    figure.savefig(file, dpi=90)


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("shared", type=Path, help="folder of the shared data sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="tasks whose names contain this")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tasks = [task for task in TASKS if options.only in task.name]
    runs = run(options.shared, tasks, options.seeds)
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "families.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(runs[0])))
        writer.writeheader()
        for each in runs:
            losses = " ".join(f"{loss:.4f}" for loss in each.losses)
            writer.writerow({**asdict(each), "losses": losses})
    (options.out / "families.md").write_text(table(tasks, runs))
    plot(tasks, runs, options.out / "se-families.png")
    print(table(tasks, runs))


if __name__ == "__main__":
    main()
