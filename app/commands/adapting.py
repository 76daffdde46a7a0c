"""The command ``gatewatch adapt``: a folder of normal images to a file of gates, if that helps."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from app.commands.common import report
from app.errors import ConflictError
from app.intake.local_images import LocalImages
from app.learning import adapting
from app.learning.adapting import Options, Outcome
from app.settings import Settings, check_environment
from detector.adapt import Report
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
    limit: Annotated[
        int, typer.Option(min=1, max=adapting.MOST_IMAGES, help="Most images to use, drawn.")
    ] = adapting.DEFAULT_IMAGES,
    seed: Annotated[
        int, typer.Option(min=0, max=adapting.MOST_SEED, help="Of draws, training and defects.")
    ] = 0,
) -> None:
    """Adapt the backbone's gates to normal images; write them only if that helps."""
    try:
        settings = _settings()
        _check(out)
        images = LocalImages.of([folder])
        with threadpool_limits(1, user_api="blas"):  # systems this small lose time to more
            outcome = _adapt(settings, images, Options(size, limit, seed))
        report(outcome.rejected)
        _write(outcome, out)
    except (DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error
    figures = outcome.adapted.report
    Console().print(_table(figures))
    typer.echo(figures.reason)
    if figures.kept:
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


def _adapt(settings: Settings, images: LocalImages, options: Options) -> Outcome:
    with tqdm(delay=0.5) as bar:  # what is refused at once needs no bar

        def tell(task: str, done: int, total: int) -> None:
            bar.total = total
            bar.set_description(task, refresh=False)
            bar.update(done - bar.n)

        return adapting.adapt(settings, images, options, tell)


def _write(outcome: Outcome, out: Path) -> None:
    if outcome.adapted.report.kept:
        outcome.adapted.save(out)
    _figures(out).write_text(outcome.adapted.report.as_json() + "\n")


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
