"""The command ``gatewatch power``: how soon a change of the traffic would be seen, as a table."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from app.commands.common import Name, run
from app.monitoring.power import Outlook, outlook
from app.schemas.drift_power import PowerInfo, changes
from app.service import Service


def power(
    name: Name,
    version: Annotated[int | None, typer.Option(help="Calibrated; else that in service.")] = None,
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
) -> None:
    """Tell how soon changes of the traffic would be seen, by simulation on the calibration."""
    asked = changes(shift, spread)

    async def work(service: Service) -> None:
        with tqdm(total=len(asked), unit="change", desc="power") as bar:
            found = await outlook(
                service,
                name,
                version=version,
                promise_images=promise,
                changes=asked,
                progress=bar.update,
            )
        if as_json:
            info = PowerInfo.of(found).model_dump(mode="json")
            typer.echo(json.dumps(info, indent=2))
        else:
            _print(found)

    run(work)


def _print(found: Outlook) -> None:
    console = Console()
    table = Table(title=f"{found.stored.entry.name}, version {found.stored.detector.version}")
    for heading in ("change", "seen after (median images)", "in simulations"):
        table.add_column(heading, justify="left" if heading == "change" else "right")
    for each in found.powers:
        beyond = f"more than {each.horizon:,}"
        median = beyond if each.median_images is None else f"{each.median_images:,}"
        table.add_row(str(each.change), median, str(each.seen))
    console.print(table)
    for each in found.powers:
        console.print(str(each))
    every = round(found.thinning.every)
    console.print(
        f"simulated on {found.calibration:,} calibration images; one image in {every:,} is watched"
    )
    console.print(found.promise.statement)
