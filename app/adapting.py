"""The command ``gatewatch adapt``: a folder of normal images to a file of gates, if that helps."""

import random
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from app.bench.images import Reader
from app.errors import ConflictError, NoImagesError
from app.settings import Settings, check_environment
from app.sources import SUFFIXES
from detector import adapt as adapting
from detector.adapt import Report
from detector.embedder import Embedder
from detector.errors import DetectorError, InvalidSpecError
from detector.spec import DEFAULT_IMAGE_SIZE, MAX_IMAGE_SIZE, MIN_IMAGE_SIZE

SUFFIX = ".safetensors"


def adapt(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Normal images.")],
    out: Annotated[Path, typer.Option(help="New file of gates, .safetensors.")],
    size: Annotated[
        int,
        typer.Option(min=MIN_IMAGE_SIZE, max=MAX_IMAGE_SIZE, help="Side at which to judge."),
    ] = DEFAULT_IMAGE_SIZE,
    limit: Annotated[int, typer.Option(min=1, help="Most images to use, drawn.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Of draws, training and defects.")] = 0,
) -> None:
    """Adapt the backbone's gates to normal images; write them only if that helps."""
    try:
        settings = _settings()
        _check(out)
        with threadpool_limits(1, user_api="blas"):  # systems this small lose time to more
            report = _adapt(settings, folder, out, size=size, limit=limit, seed=seed)
    except (DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error
    Console().print(_table(report))
    typer.echo(report.reason)
    if report.kept:
        typer.echo(
            f"Written: {out}. Next: set GATEWATCH_WEIGHTS={out} and create and fit detectors anew"
        )
    else:
        typer.echo(f"No gates written; go on with those you have. Figures: {_figures(out)}")


def _settings() -> Settings:
    try:
        check_environment()
        return Settings()
    except ValueError as error:
        raise InvalidSpecError(str(error)) from error


def _figures(out: Path) -> Path:
    return out.with_suffix(".json")


def _check(out: Path) -> None:
    """Refuse early what could not be written, or would change gates that detectors rely on."""
    if out.suffix != SUFFIX:
        raise InvalidSpecError(f"--out {out} must end in {SUFFIX}")
    for path in (out, _figures(out), out.with_suffix(".sha256")):
        if path.exists():
            raise ConflictError(f"{path} exists: choose another name, detectors may rely on it")
    out.parent.mkdir(parents=True, exist_ok=True)


def _adapt(
    settings: Settings, folder: Path, out: Path, *, size: int, limit: int, seed: int
) -> Report:
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise NoImagesError(f"no image in {folder}; looked for {', '.join(sorted(SUFFIXES))}")
    chosen = sorted(random.Random(seed).sample(paths, min(limit, len(paths))))
    embedder = Embedder(settings.backbone, settings.device, settings.threads, settings.weights)
    reader = Reader(settings, embedder.prepare, size)
    read = [item for batch in reader.batches(chosen, 1) for item in batch]
    for path, why in reader.rejected.items():
        typer.echo(f"left out {path}: {why}", err=True)
    names = [chosen[item.index].name for item in read]
    total = adapting.most_ticks(names)
    with tqdm(total=total) as bar:

        def tick(task: str, done: int) -> None:
            bar.set_description(task)
            bar.update(done)

        adapted = adapting.adapt(
            embedder,
            [item.pixels for item in read],
            names,
            gates=settings.weights,
            seed=seed,
            tick=tick,
        )
        bar.update(total - bar.n)  # training may have stopped early
    report = adapted.report
    if report.kept:
        adapted.save(out)
    _figures(out).write_text(report.as_json() + "\n")
    return report


def _table(report: Report) -> Table:
    table = Table(
        title=f"AUROC, {report.held_out_images} held-out images against synthetic defects; "
        f"{report.train_images} learnt from"
    )
    for heading in ("judge", "before", "after"):
        table.add_column(heading, justify="left" if heading == "judge" else "right")
    pairs = {name: (value, report.after.auroc[name]) for name, value in report.before.auroc.items()}
    pairs["mean"] = report.before.criterion, report.after.criterion
    for name, values in pairs.items():
        table.add_row(name, *(f"{value:.4f}" for value in values))
    table.add_row("gate pattern", f"{report.before.pattern:.3f}", f"{report.after.pattern:.3f}")
    return table
