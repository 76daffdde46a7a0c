"""The command ``gatewatch bench``: arguments to a benchmark, its results to files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as Grid
from threadpoolctl import threadpool_limits
from tqdm import tqdm
from typer.core import TyperCommand

from app.bench import measure, plots, results, summary
from app.bench.images import Reader
from app.bench.layouts import BenchError, find_sets
from app.bench.run import Failure, Outcome, Plan, run
from app.commands.common import console, settings_or_end
from app.settings import Settings
from detector.embedder import BACKBONES, Embedder
from detector.errors import DetectorError
from detector.spec import DEFAULT_IMAGE_SIZE

_LISTS = {
    "--seeds": re.compile(r"-?\d+"),
    "--config": re.compile(r"\w+/\w+(:\S+)?"),
    "--backbone": re.compile(rf"({'|'.join(BACKBONES)})(@.+)?|timm:.+"),
}
PEERS = ("anomalib",)


class ListOptions(TyperCommand):
    """Lets ``--seeds`` and ``--config`` take several values: ``--seeds 0 1 2``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further value, as the parser wants it."""
        return super().parse_args(ctx, spread(args))


def spread(args: Sequence[str]) -> list[str]:
    """Return arguments with ``--seeds 0 1`` written as ``--seeds 0 --seeds 1``.

    A list ends at the first value that does not look like one, or that is an existing path.
    """
    out: list[str] = []
    option, first = "", False
    for argument in args:
        if argument in _LISTS:
            option, first = argument, True
        elif option and first:
            first = False
        elif option and _LISTS[option].fullmatch(argument) and not Path(argument).exists():
            out.append(option)
        else:
            option = ""
        out.append(argument)
    return out


def bench(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Sets, folders of sets or of classes.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results; made if missing.")],
    size: Annotated[int, typer.Option(help="Side of the images, pixels.")] = DEFAULT_IMAGE_SIZE,
    train_limit: Annotated[int, typer.Option(min=1, help="Most images to fit, drawn.")] = 300,
    seeds: Annotated[list[int] | None, typer.Option(help="Of the draws: one or more.")] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(help="descriptor/scorer[:key=value,..]: one or more; else all."),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME@FILE of weights: one or more; else the service's."),
    ] = None,
    compare: Annotated[str, typer.Option(help="anomalib: PatchCore, PaDiM and DFM too.")] = "",
) -> None:
    """Measure detection on folders of images: results.json, .csv, summary.md and plots."""
    try:
        if compare not in {"", *PEERS}:
            raise BenchError(f"nothing to compare with named {compare!r}; there is: anomalib")
        settings = settings_or_end()
        plan = Plan(find_sets(folders), list(dict.fromkeys(seeds or [0])), size, train_limit)
        threadpool_limits(1, user_api="blas")  # as the service does
        _measure(plan, _heats(settings, backbone or [], config or [], compare, size), out)
    except (BenchError, DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error


Heat = tuple[Sequence[measure.Group], Reader]
"""Who competes on one backbone, and the reader that prepares images for it."""


def _heats(
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


def _measure(plan: Plan, heats: Sequence[Heat], out: Path) -> None:
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
