"""The commands ``gatewatch export`` and ``gatewatch import``: a detector as one file."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.common import Name, Reason, Version, name_of
from app.commands.target import KeyFile, Url, opened


def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="Where the file goes; NAME-vN.gatewatch in a folder.")],
    version: Version = None,
    rows: Annotated[
        bool, typer.Option(help="Take rows of its images along, so that they can be forgotten.")
    ] = False,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Write a detector into one file, for another gatewatch with the same backbone."""
    with opened(url, key_file, name) as target:
        number = target.detector(name).in_service if version is None else version
        file = out / f"{name}-v{number}.gatewatch" if out.is_dir() else out
        target.export(name, file, version=number, rows=rows, reason=reason)
        typer.echo(f"{name} version {number}: {name_of(file)}, {file.stat().st_size} bytes")


def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Exported file.")],
    name: Annotated[str, typer.Option(help="Of the new detector; else the one it had.")] = "",
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Make a new detector of an exported file, if images have the same scores here as there."""
    with opened(url, key_file) as target:
        brought = target.import_(file, name=name or None, reason=reason)
        made = brought.detector
        typer.echo(
            f"{made.name} version {made.version}: golden images differ by "
            f"{brought.worst_difference:.2g} at most"
        )
