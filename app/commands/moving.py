"""The commands ``gatewatch export`` and ``gatewatch import``: a detector as one file."""

import os
import uuid
from pathlib import Path
from typing import Annotated

import typer

from app.commands.common import Name, Reason, by, run
from app.moving import move
from app.service import Service


def export(
    name: Name,
    out: Annotated[Path, typer.Option(help="Where the file goes; NAME-vN.gatewatch in a folder.")],
    version: Annotated[int | None, typer.Option(help="Else the one in service.")] = None,
    rows: Annotated[
        bool, typer.Option(help="Take rows of its images along, so that they can be forgotten.")
    ] = False,
    reason: Reason = "",
) -> None:
    """Write a detector into one file, for another gatewatch with the same backbone."""

    async def work(service: Service) -> None:
        folder = out if out.is_dir() else out.parent
        # Under a name of its own until it is whole, so that nobody takes half of it away.
        partial = folder / f".gatewatch-{uuid.uuid4().hex}"
        with partial.open("xb") as file:  # with the umask's mode, which a tempfile has not
            try:
                stored = await move.export(
                    service, name, file, by(reason), version=version, rows=rows
                )
                file.flush()
                os.fsync(file.fileno())
                number = stored.detector.version
                target = out / f"{name}-v{number}.gatewatch" if out.is_dir() else out
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
        typer.echo(f"{name} version {number}: {target}, {target.stat().st_size} bytes")

    run(work)


def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Exported file.")],
    name: Annotated[str, typer.Option(help="Of the new detector; else the one it had.")] = "",
    reason: Reason = "",
) -> None:
    """Make a new detector of an exported file, if images have the same scores here as there."""

    async def work(service: Service) -> None:
        with file.open("rb") as content:
            brought = await move.bring(service, content, by(reason), name)
        entry = brought.stored.entry
        typer.echo(
            f"{entry.name} version {entry.version.version}: golden images differ by "
            f"{brought.worst_difference:.2g} at most"
        )

    run(work)
