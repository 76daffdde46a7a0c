"""The command ``gatewatch replay``: what the past would have looked like, as a table."""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from app.commands.common import Name, run
from app.commands.drift_replay import watch_again
from app.lines import Line
from app.past.replay import replay as judge_again
from app.past.replay import size
from app.past.tally import Replayed
from app.schemas.replay import ReplayInfo
from app.service import Service
from app.storage.tables import now

SHOWN = 10
"""Changed images that the table shows; --json prints all that were kept."""


def replay(
    name: Name,
    version: Annotated[int | None, typer.Option(help="That judges; else that in service.")] = None,
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
        line = Line("conformal", {"target": target})
    if value is not None:
        line = Line("manual", {"value": value})
    first, last = _moment(since), _moment(until)
    if drift:
        watch_again(name, version, promise, (first, last), as_json)
        return

    async def work(service: Service) -> None:
        total = await size(service, name, first, last)
        with tqdm(total=total, unit="image", desc="replay") as bar:
            replayed = await judge_again(
                service,
                name,
                version=version,
                scorer=scorer,
                threshold=line,
                since=first,
                until=last,
                progress=bar.update,
            )
        if as_json:
            info = ReplayInfo.of(replayed).model_dump(mode="json")
            typer.echo(json.dumps(info, indent=2))
        else:
            _print(replayed)

    run(work)


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


def _print(replayed: Replayed) -> None:
    console = Console()
    console.print(_counts(replayed))
    console.print(f"newly flagged {replayed.newly_flagged}, no longer flagged ", end="")
    console.print(f"{replayed.no_longer_flagged}, of {replayed.images} images")
    if replayed.left_out:
        console.print(f"left out: {replayed.left_out}, which another backbone saw")
    if replayed.reviews:
        console.print(_reviews(replayed))
    if replayed.changed:
        console.print(_changed(replayed))
    console.print(replayed.judge.require_threshold().statement)


def _counts(replayed: Replayed) -> Table:
    table = Table(title=f"{replayed.stored.entry.name}, version {replayed.judge.version}")
    for heading in (replayed.step, "images", "flagged then", "flagged now"):
        table.add_column(heading, justify="left" if heading == replayed.step else "right")
    form = "%Y-%m-%d %H:00" if replayed.step == "hour" else "%Y-%m-%d"
    for start, each in replayed.bins.items():
        counts = (each.images, each.flagged_then, each.flagged_now)
        table.add_row(start.strftime(form), *map(str, counts))
    then, now_ = replayed.then["anomalous"], replayed.now["anomalous"]
    table.add_row("all", str(replayed.images), str(then), str(now_))
    return table


def _reviews(replayed: Replayed) -> Table:
    table = Table("reviewed as", "images", "flagged then", "flagged now")
    for word, each in sorted(replayed.reviews.items()):
        table.add_row(word, *map(str, (each.images, each.flagged_then, each.flagged_now)))
    return table


def _changed(replayed: Replayed) -> Table:
    table = Table("most changed", "then", "verdict", "now", "verdict", "id")
    for each in replayed.changed[:SHOWN]:
        image = each.image
        then, score = f"{image.score:.4g}", f"{each.score:.4g}"
        table.add_row(image.name, then, image.verdict, score, each.verdict, image.id)
    return table
