"""What ``gatewatch replay --drift`` does: would-be alarms of drift, as a table."""

import json
from datetime import datetime

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from app.commands.common import run
from app.past.drifting import DriftReplayed, replay_drift
from app.past.replay import size
from app.schemas.drift_replay import DriftReplayInfo
from app.service import Service
from detector.drift.shares import MONITORS

SHOWN = 20
"""Alarms that the table shows; --json prints all that are told."""


def watch_again(
    name: str,
    version: int | None,
    promise: int | None,
    between: tuple[datetime | None, datetime | None],
    as_json: bool,
) -> None:
    """Watch again what was scored ``between`` two moments, and print what would have alarmed."""
    since, until = between

    async def work(service: Service) -> None:
        total = await size(service, name, since, until)
        with tqdm(total=total, unit="image", desc="replay") as bar:
            found = await replay_drift(
                service,
                name,
                version=version,
                promise_images=promise,
                since=since,
                until=until,
                progress=bar.update,
            )
        if as_json:
            info = DriftReplayInfo.of(found).model_dump(mode="json")
            typer.echo(json.dumps(info, indent=2))
        else:
            _print(found)

    run(work)


def _print(found: DriftReplayed) -> None:
    console = Console()
    console.print(_streams(found))
    if found.alarms:
        console.print(_alarms(found))
    if found.alarm_count > SHOWN:
        console.print(f"and {found.alarm_count - SHOWN:,} more")
    console.print(found.summary)
    console.print(f"watched {found.images_watched:,} of {found.images:,} images", end="")
    console.print(f"; left out {found.left_out:,}, which another backbone saw")
    for line in (found.told.promise, *found.reasons):
        console.print(line)


def _streams(found: DriftReplayed) -> Table:
    table = Table(title=f"{found.told.entry.name}, version {found.stored.detector.version}")
    for heading in ("monitor", "watches", "highest evidence", "threshold", "alarms"):
        left = heading in ("monitor", "watches")
        table.add_column(heading, justify="left" if left else "right")
    for name, each in found.streams.items():
        numbers = (f"{each.highest_log10:.2f}", f"{each.threshold_log10:.2f}", str(each.alarms))
        table.add_row(MONITORS[name], name, *numbers)
    return table


def _alarms(found: DriftReplayed) -> Table:
    table = Table("would-be alarm", "watches", "evidence", "image number", "id")
    for each in found.alarms[:SHOWN]:
        raised = each.raised
        evidence = f"{each.evidence_log10:.2f}"
        at = f"{raised.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, raised.stream, evidence, str(raised.image), raised.id)
    return table
