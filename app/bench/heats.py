"""Heats: the groups that compete on each backbone, measured, and their results as files."""

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.table import Table as Grid
from tqdm import tqdm

from app.bench import measure, plots, results, summary
from app.bench.images import Reader
from app.bench.layouts import BenchError
from app.bench.run import Failure, Outcome, Plan, run
from app.commands.common import console
from app.settings import Settings
from detector.embedder import Embedder

Heat = tuple[Sequence[measure.Group], Reader]
"""Who competes on one backbone, and the reader that prepares images for it."""


def heats_of(
    settings: Settings, backbones: Sequence[str], config: Sequence[str], compare: str, size: int
) -> list[Heat]:
    """Return the groups of every backbone; the peers share the service's own."""
    usual = (settings.backbone, settings.weights)
    named = [text.partition("@") for text in dict.fromkeys(backbones)]
    heats: list[Heat] = []
    for name, weights in [(n, Path(f) if f else None) for n, _, f in named] or [usual]:
        embedder = Embedder.load(name, settings.device, settings.threads, weights=weights)
        groups = measure.our_groups(embedder, config, size, usual=(name, weights) == usual)
        if compare and not heats:
            groups += measure.peer_groups(embedder)
        heats.append((groups, Reader(settings, embedder.prepare, size)))
    return heats


def measure_all(plan: Plan, heats: Sequence[Heat], out: Path) -> None:
    """Measure every group on every set, and write and print what was found.

    Raises:
        BenchError: if no configuration could be fitted.
    """
    out.mkdir(parents=True, exist_ok=True)
    first = heats[0][0][0].configurations
    shown = next((c for c in first if c.default), first[0])
    rows: list[results.Row] = []
    failures: list[Failure] = []
    drawn: list[Outcome] = []
    with tqdm(total=plan.images() * sum(len(groups) for groups, _ in heats), unit="image") as bar:

        def tick(task: str, count: int) -> None:
            bar.set_description(task)
            bar.update(count)

        outcomes = (
            (item, reader) for groups, reader in heats for item in run(plan, groups, reader, tick)
        )
        for item, reader in outcomes:
            if isinstance(item, Failure):
                failures.append(item)
                continue
            rows.append(item.row)
            results.write_json(rows, out / "results.json")  # what is measured is not lost
            if item.configuration == shown and item.row.seed == plan.seeds[0]:
                plots.plot_set(item, reader, out)
                drawn.append(item)
    rejected = {where: why for _, reader in heats for where, why in reader.rejected.items()}
    if not rows:
        raise BenchError(f"no configuration could be fitted: {failures[0].reason}")
    results.write_csv(rows, out / "results.csv")
    summary.write(rows, failures, rejected, out / "summary.md")
    if drawn:
        plots.plot_rocs(drawn, out / "roc.png")
    for where, why in rejected.items():
        typer.echo(f"left out {where}: {why}", err=True)
    for failure in failures:
        typer.echo(
            f"left out {failure.configuration.label} on {failure.image_set}: {failure.reason}",
            err=True,
        )
    console().print(_grid(summary.Table(rows)))
    typer.echo(f"Written: {out / 'summary.md'}, results.json, results.csv and plots")


def _grid(table: summary.Table) -> Grid:
    grid = Grid(title=f"Mean image AUROC over {len(table.sets)} set(s)")
    for heading in ("configuration", "mean", "worst with a set left out"):
        grid.add_column(heading, justify="left" if heading == "configuration" else "right")
    for key, by_set in table.rows.items():
        means = table.means(key)
        cells = [f"{value:.4f}" for value in means] if means else ["-", "-"]
        grid.add_row(summary.name(key, by_set).replace("**", ""), *cells)
    return grid
