"""The command ``gatewatch adapt``: a folder of normal images to a file of gates, if that helps."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.commands.common import File, console, name_of, settings_or_end
from app.commands.following import followed
from app.commands.learning import report
from app.commands.sent import files
from app.commands.target import KeyFile, Url, connected, failures, refuse_key_file
from app.errors import ConflictError
from app.learning import adapt_options
from app.learning.adapt_options import Options
from detector.errors import InvalidSpecError
from detector.gate_report import Figures, Report
from detector.spec import DEFAULT_IMAGE_SIZE, MAX_IMAGE_SIZE, MIN_IMAGE_SIZE
from gatewatch import Client, Job, UnexpectedAnswerError, answers

SUFFIX = ".safetensors"


def adapt(
    out: Annotated[Path, typer.Option(help="New file of gates, .safetensors.")],
    folder: Annotated[
        Path | None, typer.Argument(exists=True, file_okay=False, help="Normal images.")
    ] = None,
    size: Annotated[
        int,
        typer.Option(min=MIN_IMAGE_SIZE, max=MAX_IMAGE_SIZE, help="Side at which to judge."),
    ] = DEFAULT_IMAGE_SIZE,
    limit: Annotated[
        int, typer.Option(min=1, max=adapt_options.MOST_IMAGES, help="Most images to use, drawn.")
    ] = adapt_options.DEFAULT_IMAGES,
    seed: Annotated[
        int,
        typer.Option(min=0, max=adapt_options.MOST_SEED, help="Of draws, training and defects."),
    ] = 0,
    job: Annotated[
        str | None, typer.Option(help="With --url: fetch what this job made, begin none.")
    ] = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Adapt the backbone's gates to normal images; write them only if that helps."""
    if (folder is None) == (job is None):
        raise typer.BadParameter("give a folder of normal images, or a server's job by --job")
    if job is not None and (not url or job in ("", ".", "..")):
        raise typer.BadParameter("--job is the id of a job of a server, whose address is --url")
    options = Options(size, limit, seed)
    with failures():
        _check(out)
        images = files([folder]) if folder else []
        if url:
            done = _at(url, key_file, job, images, options, out)
        else:
            refuse_key_file(key_file)
            settings = settings_or_end()
            from app.commands.local import adapting  # here: as in target.opened

            done = adapting.adapt(settings, images, options, out)
        report(done.rejected)
        figures = _figures(done)
        _beside(out).write_text(figures.as_json() + "\n")
    console().print(_table(figures))
    typer.echo(figures.reason)
    if figures.kept:
        typer.echo(
            f"Written: {out}. Next: set GATEWATCH_WEIGHTS={out} and create and fit detectors anew"
        )
    else:
        typer.echo(f"No gates written; go on with those you have. Figures: {_beside(out)}")


def _at(
    url: str,
    key_file: Path | None,
    id: str | None,
    images: Sequence[File],
    options: Options,
    out: Path,
) -> answers.AdaptedGates:
    """Have a server adapt them, or wait for a job that does, and fetch what it has kept."""
    with connected(url, key_file) as client:
        job: Job[answers.AdaptedGates]
        if id:
            job = client.job(id)
        else:
            job = client.adapt(images, size=options.size, limit=options.limit, seed=options.seed)
        if job.info.kind != "adapt":
            raise InvalidSpecError(f"job {job.id} adapts no gates: its kind is {job.info.kind!r}")
        try:
            done = followed(job, "adapt")
            if done.kept:
                _fetch(client, job.id, done.sha256, out)
        except BaseException:
            if job.info.state not in ("failed", "cancelled"):
                typer.echo(
                    "its gates, once it has ended: "
                    f"gatewatch adapt --job {job.id} --out {name_of(out)}",
                    err=True,
                )
            raise
    return done


def _fetch(client: Client, job: str, sha256: str | None, out: Path) -> None:
    client.gates(job, out)
    if hashlib.sha256(out.read_bytes()).hexdigest() != sha256:
        out.unlink()
        raise UnexpectedAnswerError("the gates came damaged: fetch them again")
    out.with_suffix(".sha256").write_text(f"{sha256}  {out.name}\n")


def _beside(out: Path) -> Path:
    """Return the file of the figures."""
    return out.with_suffix(".json")


def _check(out: Path) -> None:
    """Refuse early what could not be written, or would change gates that detectors rely on."""
    if out.suffix != SUFFIX:
        raise InvalidSpecError(f"--out {out} must end in {SUFFIX}")
    for path in (out, _beside(out), out.with_suffix(".sha256")):
        if path.exists():
            raise ConflictError(f"{path} exists: choose another name, detectors may rely on it")
    out.parent.mkdir(parents=True, exist_ok=True)


def _figures(done: answers.AdaptedGates) -> Report:
    """Return the report that the answer tells of."""
    told = vars(done.report) | {
        moment: Figures(**vars(figures))
        for moment, figures in (("before", done.report.before), ("after", done.report.after))
    }
    return Report(kept=done.kept, reason=done.reason, **told)


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
