"""The command ``gatewatch merge``: the parts of a fit at large become one detector."""

from pathlib import Path
from typing import Annotated

import typer

from app.commands.common import Name, Reason
from app.commands.large import Finish
from app.commands.learning import Parameter


def merge(
    name: Name,
    parts: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Their files.")],
    extend: Annotated[bool, typer.Option(help="Add to what the detector knows.")] = False,
    allow_missing: Annotated[
        bool, typer.Option(help="Fit without the shards that are not there.")
    ] = False,
    target: Annotated[float, typer.Option(help="Highest false-alarm rate, a fraction.")] = 0.05,
    method: Annotated[str, typer.Option(help="See docs/thresholds.md.")] = "conformal",
    parameter: Parameter = None,
    most_failed: Annotated[
        float, typer.Option(help="Share of the images that may have been left out.")
    ] = 0.5,
    allow_damaged: Annotated[
        bool, typer.Option(help="Do without what could not be read of damaged files.")
    ] = False,
    rejected: Annotated[
        Path | None, typer.Option(help="File for all images that were left out, as NDJSON.")
    ] = None,
    reason: Reason = "",
) -> None:
    """Make the parts of all shards of a fit one detector, fitted and calibrated."""
    asked = Finish(target, method, parameter, most_failed, allow_damaged, rejected, reason)
    from app.commands import bulk  # here: other commands need none of the service

    bulk.merge(name, parts, asked, extend=extend, allow_missing=allow_missing)
