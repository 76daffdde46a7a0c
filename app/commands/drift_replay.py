"""What ``gatewatch replay --drift`` prints: would-be alarms of drift, as tables."""

from rich.table import Table

from app.commands.common import console
from gatewatch import DriftReplayInfo

SHOWN = 20
"""Alarms that the table shows; --json prints all that are told."""


def print_drift(found: DriftReplayInfo) -> None:
    """Print what would have alarmed, and what the promise rests on."""
    out = console()
    out.print(_streams(found))
    if found.alarms:
        out.print(_alarms(found))
    if found.alarm_count > SHOWN:
        out.print(f"and {found.alarm_count - SHOWN:,} more")
    out.print(found.summary)
    out.print(f"watched {found.images_watched:,} of {found.images:,} images", end="")
    out.print(f"; left out {found.left_out:,}, which another backbone saw")
    for line in (found.promise, *found.reasons):
        out.print(line)


def _streams(found: DriftReplayInfo) -> Table:
    table = Table(title=f"{found.detector}, version {found.version}")
    for heading in ("monitor", "watches", "highest evidence", "threshold", "alarms"):
        left = heading in ("monitor", "watches")
        table.add_column(heading, justify="left" if left else "right")
    for each in found.monitors:
        evidence = f"{each.highest_evidence_log10:.2f}"
        ends = f"{each.threshold_log10:.2f}"
        table.add_row(each.monitor, each.watches, evidence, ends, str(each.alarms))
    return table


def _alarms(found: DriftReplayInfo) -> Table:
    table = Table("would-be alarm", "watches", "evidence", "image number", "id")
    for each in found.alarms[:SHOWN]:
        at, evidence = f"{each.at:%Y-%m-%d %H:%M:%S}", f"{each.evidence_log10:.2f}"
        table.add_row(at, each.watches, evidence, str(each.image_number), each.image)
    return table
