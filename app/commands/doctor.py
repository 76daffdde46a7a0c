"""The command ``gatewatch doctor``: what this machine can do, and the settings that fit it."""

import json
from pathlib import Path
from typing import Annotated

import typer
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from app.commands.common import console, settings_of_environment
from detector.errors import DetectorError


def doctor(
    write: Annotated[
        Path | None,
        typer.Option(help="Write the settings: a file for a shell, or Compose's env_file."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all figures as JSON.")] = False,
) -> None:
    """Measure this machine: bottleneck, images a second, settings that fit; a minute if quiet."""
    from app.doctor import examination, report  # here: as in target.opened

    settings = settings_of_environment()
    threadpool_limits(1, user_api="blas")  # as the service does
    try:
        with tqdm(total=examination.steps(), unit="step") as bar:

            def say(what: str) -> None:
                bar.set_description(what)
                bar.update()

            found = examination.examine(settings, say)
        if write is not None:
            write.write_text(report.environment_file(found))
    except (DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error
    if warning := report.warning(found):
        typer.echo(f"gatewatch: {warning}", err=as_json)
    if as_json:
        typer.echo(json.dumps(report.as_json(found), indent=2))
        return
    out = console()
    for table in report.tables(found):
        out.print(table)
    for line in report.lines(found):
        typer.echo(line)
