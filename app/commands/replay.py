"""The command ``gatewatch replay``: what the past would have looked like, as a table."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table

from app.clock import now
from app.commands.common import Name, Version, console
from app.commands.drift_replay import print_drift
from app.commands.following import followed
from app.commands.sent import print_json
from app.commands.target import KeyFile, Url, opened
from detector.errors import InvalidSpecError
from detector.scorers import SCORERS
from detector.thresholds import configure
from gatewatch import NewThreshold, ReplayInfo

SHOWN = 10
"""Changed images that the table shows; --json prints all that were kept."""


def replay(
    name: Name,
    version: Version = None,
    scorer: Annotated[str | None, typer.Option(help="In place of the version's.")] = None,
    target: Annotated[
        float | None, typer.Option(help="Conformal line for this false-alarm rate, a fraction.")
    ] = None,
    value: Annotated[float | None, typer.Option(help="Line at this score.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Moment (2026-01-31T12:00, UTC unless said), or 24h, 7d ago.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="As --since; only images before.")] = None,
    drift: Annotated[
        bool, typer.Option("--drift", help="Tell which alarms of drift there would have been.")
    ] = False,
    promise: Annotated[
        int | None, typer.Option(min=2, help="With --drift: images per false alarm allowed.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Judge again what was scored, by another version, scorer or threshold; changes nothing."""
    if drift and (scorer, target, value) != (None, None, None):
        raise typer.BadParameter("--drift watches a version as it is: only --version changes it")
    if promise is not None and not drift:
        raise typer.BadParameter("--promise goes with --drift")
    if target is not None and value is not None:
        raise typer.BadParameter("--target and --value are two lines: choose")
    line = None
    if target is not None:
        line = NewThreshold(method="conformal", target=target)
    if value is not None:
        line = NewThreshold(method="manual", value=value)
    asked: dict[str, Any] = {
        "version": version,
        "since": _moment(since),
        "until": _moment(until),
    }
    with opened(url, key_file, name) as there:
        if drift:
            alarms = followed(there.replay_drift(name, promise_images=promise, **asked), "replay")
            print_json(alarms) if as_json else print_drift(alarms)
            return
        _check(scorer, line)
        job = there.replay(name, scorer=scorer, threshold=line, **asked)
        replayed = followed(job, "replay")
        print_json(replayed) if as_json else _print(replayed)


def _check(scorer: str | None, line: NewThreshold | None) -> None:
    """Refuse what cannot be, in the same words wherever it is asked. Raises InvalidSpecError."""
    if scorer is not None and scorer not in SCORERS:
        raise InvalidSpecError(f"no scorer {scorer!r}; there is: {', '.join(SCORERS)}")
    if line is not None:
        name = "value" if line.method == "manual" else "target"
        configure(line.method, {name: getattr(line, name)})


def _moment(text: str | None) -> datetime | None:
    """Return the moment that was given as a date and time, or as hours or days ago."""
    if text is None:
        return None
    units = {"h": timedelta(hours=1), "d": timedelta(days=1)}
    try:
        if text[-1:] in units:
            return now() - float(text[:-1]) * units[text[-1]]
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no moment: 2026-01-31T12:00, 24h, 7d") from error


def _print(replayed: ReplayInfo) -> None:
    out = console()
    out.print(_counts(replayed))
    out.print(f"newly flagged {replayed.newly_flagged}, no longer flagged ", end="")
    out.print(f"{replayed.no_longer_flagged}, of {replayed.images} images")
    if replayed.left_out:
        out.print(f"left out: {replayed.left_out}, which another backbone saw")
    if replayed.reviews:
        out.print(_reviews(replayed))
    if replayed.changed:
        out.print(_changed(replayed))
    out.print(replayed.threshold.statement)


def _counts(replayed: ReplayInfo) -> Table:
    table = Table(title=f"{replayed.detector}, version {replayed.threshold.version}")
    for heading in (replayed.step, "images", "flagged then", "flagged now"):
        table.add_column(heading, justify="left" if heading == replayed.step else "right")
    form = "%Y-%m-%d %H:00" if replayed.step == "hour" else "%Y-%m-%d"
    for each in replayed.bins:
        counts = (each.images, each.flagged_then, each.flagged_now)
        table.add_row(each.start.strftime(form), *map(str, counts))
    then, now_ = (words.get("anomalous", 0) for words in (replayed.then, replayed.now))
    table.add_row("all", str(replayed.images), str(then), str(now_))
    return table


def _reviews(replayed: ReplayInfo) -> Table:
    table = Table("reviewed as", "images", "flagged then", "flagged now")
    for word, each in sorted(replayed.reviews.items()):
        table.add_row(word, *map(str, (each.images, each.flagged_then, each.flagged_now)))
    return table


def _changed(replayed: ReplayInfo) -> Table:
    table = Table("most changed", "then", "verdict", "now", "verdict", "id")
    for each in replayed.changed[:SHOWN]:
        image = each.then
        then, score = f"{image.score:.4g}", f"{each.score:.4g}"
        table.add_row(image.name, then, image.verdict, score, each.verdict, image.id)
    return table
