"""The command ``gatewatch power``: how soon a change of the traffic would be seen, as a table."""

from typing import Annotated

import typer
from rich.table import Table

from app.commands.common import Name, Version, console
from app.commands.sent import print_json
from app.commands.target import KeyFile, Url, opened
from detector.drift.power import Change
from gatewatch import PowerInfo


def power(
    name: Name,
    version: Version = None,
    shift: Annotated[
        float | None, typer.Option(min=-100, max=100, help="Of scores, in standard deviations.")
    ] = None,
    spread: Annotated[
        float | None, typer.Option(min=0.01, max=100, help="What their spread is multiplied by.")
    ] = None,
    promise: Annotated[
        int | None, typer.Option(min=2, help="Images per false alarm; else the setting's.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Tell how soon changes of the traffic would be seen, by simulation on the calibration."""
    with opened(url, key_file, name) as target:
        found = target.power(
            name, version=version, promise_images=promise, shift=shift, spread=spread
        )
        if as_json:
            print_json(found)
        else:
            _print(found)


def _print(found: PowerInfo) -> None:
    out = console()
    table = Table(title=f"{found.detector}, version {found.version}")
    for heading in ("change", "seen after (median images)", "in simulations"):
        table.add_column(heading, justify="left" if heading == "change" else "right")
    for each in found.changes:
        change = Change(each.shift_sd, each.spread)
        beyond = f"more than {each.horizon_images:,}"
        median = beyond if each.median_images is None else f"{each.median_images:,}"
        table.add_row(str(change), median, f"{each.seen} of {each.simulations}")
    out.print(table)
    for each in found.changes:
        out.print(each.text)
    out.print(
        f"simulated on {found.calibration_images:,} calibration images; one image in "
        f"{found.lag_images:,} is watched"
    )
    out.print(found.promise)
