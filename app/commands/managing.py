"""The commands that say which detectors and versions there are, and which of them serve."""

import textwrap
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from app.commands.common import Name, Reason, console
from app.commands.samples import noun
from app.commands.sent import print_json
from app.commands.tables import columns, fits
from app.commands.target import KeyFile, Url, opened
from app.schemas.base import MAX_VERSION
from gatewatch import DetectorInfo, VersionInfo
from gatewatch.answers import DetectorList, VersionList

NONE = "-"
NUMBERS = {"version", "of", "fitted", "threshold"}
AsJson = Annotated[bool, typer.Option("--json", help="Print what the API answers.")]
Number = Annotated[int, typer.Argument(min=1, max=MAX_VERSION, help="Number of the version.")]
AllowUncalibrated = Annotated[
    bool,
    typer.Option(
        "--allow-uncalibrated", help="Go on though verdicts lose the threshold they have now."
    ),
]


def detectors(as_json: AsJson = False, url: Url = None, key_file: KeyFile = None) -> None:
    """List all detectors, each at its version in service."""
    with opened(url, key_file) as target:
        listed = target.detectors()
    print_json(DetectorList(detectors=listed)) if as_json else console().print(_table(listed))


def versions(
    name: Name, as_json: AsJson = False, url: Url = None, key_file: KeyFile = None
) -> None:
    """List all versions of a detector, oldest first: how each came about, and which serves."""
    with opened(url, key_file, name) as target:
        listed = target.versions(name)
        if as_json:
            print_json(VersionList(versions=listed))
        else:
            _print_history(target.detector(name), listed)


def promote(
    name: Name,
    version: Number,
    allow_stale: Annotated[
        bool,
        typer.Option("--allow-stale", help="Serve though its threshold promises nothing any more."),
    ] = False,
    allow_uncalibrated: AllowUncalibrated = False,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Put a version in service; the next change builds on it."""
    with opened(url, key_file, name) as target:
        serving = target.promote(
            name,
            version,
            allow_stale=allow_stale,
            allow_uncalibrated=allow_uncalibrated,
            reason=reason,
        )
        _tell(serving)


def rollback(
    name: Name,
    allow_uncalibrated: AllowUncalibrated = False,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Put the version in service that was before the one that is; twice is where one was."""
    with opened(url, key_file, name) as target:
        _tell(target.rollback(name, allow_uncalibrated=allow_uncalibrated, reason=reason))


def delete(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="It is meant; nothing asks again.")] = False,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Delete a detector with all its versions, and what it has scored."""
    if not yes:
        raise typer.BadParameter(
            "a deleted detector cannot be brought back: say --yes, after gatewatch export perhaps"
        )
    with opened(url, key_file, name) as target:
        target.delete(name, reason=reason)
        typer.echo(f"deleted {name}")


def _tell(serving: DetectorInfo) -> None:
    line = serving.threshold
    typer.echo(
        f"{serving.name} version {serving.version} is in service: {serving.fitted_images} "
        f"{noun(serving.kind)}(s) "
        f"fitted, {'no threshold' if line is None else f'threshold {line.value:.6g}'}"
        + ("; calibrate it, for its threshold is stale" if serving.stale else "")
    )


def _table(listed: Sequence[DetectorInfo]) -> Table:
    headings = ("name", "kind", "state", "version", "fitted", "threshold", "stale")
    table = columns(Table(), *headings, wraps={"name"}, right=NUMBERS)
    for one in listed:
        value = None if one.threshold is None else one.threshold.value
        table.add_row(
            one.name,
            one.kind,
            one.state,
            str(one.in_service),
            *_learned(one.fitted_images, value, one.stale),
        )
    return table


def _print_history(detector: DetectorInfo, listed: Sequence[VersionInfo]) -> None:
    """Print a table, or where that is too wide some lines for each version."""
    out = console()
    headings = ("version", "of", "change", "fitted", "threshold", "stale", "when", "who", "reason")
    table = columns(Table(), *headings, "", wraps={"reason"}, right=NUMBERS)
    rows = [_row(detector, one) for one in listed]
    for row in rows:
        table.add_row(*row)
    if fits(table, out):
        out.print(table)
        return
    for version, of, change, fitted, threshold, stale, when, who, reason, place in rows:
        head = f"version {version}: {change}" + (f" of {of}" if of != NONE else "")
        out.print(f"{head}, {place}" if place else head)
        out.print(f"  fitted {fitted}, threshold {threshold}, stale {stale}")
        by = f"{when}, {who}" + (f": {reason}" if reason != NONE else "")
        out.print(textwrap.indent(textwrap.fill(by, out.width - 2), "  "))


def _row(detector: DetectorInfo, one: VersionInfo) -> tuple[str, ...]:
    """Return what is said of a version, in the order of the table's columns."""
    places = {"in service": detector.in_service, "shadow": detector.shadow}
    if detector.tip != detector.in_service:  # as it mostly is
        places["tip"] = detector.tip
    return (
        str(one.version),
        str(one.parent or NONE),
        one.change,
        *_learned(one.fitted_images, one.threshold, one.stale),
        f"{one.created_at:%Y-%m-%d %H:%M}",
        one.who,
        one.reason or NONE,
        ", ".join(place for place, number in places.items() if number == one.version),
    )


def _learned(fitted: int, threshold: float | None, stale: bool) -> tuple[str, str, str]:
    return str(fitted), NONE if threshold is None else f"{threshold:.6g}", "yes" if stale else "no"
