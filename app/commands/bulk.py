"""``gatewatch fit`` at large and ``gatewatch merge``: any source, any number of processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from app.bulk import listing, merging
from app.bulk.errors import BulkError, ChangedSourcesError, UnfinishedError
from app.bulk.finishing import Finished
from app.bulk.fragments import Shard
from app.bulk.work import Work
from app.commands.common import Name, Reason, settings_of_environment
from app.commands.large import Asked, Finish, how_of, shard_of
from app.commands.learning import Parameter, warn
from app.commands.making import finished, part_here, part_on_ray, require_images, tell
from app.commands.target import failures, refuse_key_file
from app.errors import StorageUnavailableError
from app.storage.data_dir import require_data_dir

UNFINISHED = 75
"""Exit code of a fit that was stopped, or whose store failed: sysexits' EX_TEMPFAIL. The same
command goes on."""


def fit(
    name: str, asked: Asked, *, mask: Path | None, url: str | None, key_file: Path | None
) -> None:
    """Fit at large: the whole, or with ``--shard`` a part of it."""
    if url:
        raise typer.BadParameter(
            "a fit at large runs where its images are, not at a server: leave out --url and set "
            "the server's GATEWATCH_DATABASE and GATEWATCH_BUCKET, or take the detector there with "
            "gatewatch export and gatewatch import"
        )
    if mask:
        raise typer.BadParameter("a fit at large takes no --mask: fix one with --roi")
    if (asked.shard is None) != (asked.out is None):
        raise typer.BadParameter("--shard and --out go together: a share, and its part's file")
    if asked.engine not in ("here", "ray"):
        raise typer.BadParameter("--engine is here or ray")
    if asked.engine == "ray" and asked.shard:
        raise typer.BadParameter("--engine ray shares the work itself: leave out --shard")
    if asked.engine != "ray" and asked.of_ray:
        raise typer.BadParameter("--workers, --decoders and --ray-address go with --engine ray")
    refuse_key_file(key_file)
    with _told():
        settings = settings_of_environment()
        require_images(name, asked, settings)
        if not asked.shard:  # a share is kept in a file of its own
            require_data_dir(settings.data_dir)
        plan, how = asked.plan, how_of(asked, settings)
        asked.finish.check()
        with tqdm(desc="list", unit=" found", delay=1.0) as bar:
            found = listing.fragments(asked.sources, how, bar.update)
        if asked.shard:
            assert asked.out
            work = Work(found, shard_of(asked.shard), how, asked.out, asked.finish.allowed)
            part = part_here(name, asked, settings, plan, work)
            tell(part, asked.finish.rejected)
            typer.echo(
                f"{asked.out}: shard {work.shard} of {name}, {len(part.fitted)} image(s) to be "
                f"fitted, {part.held.seen} held out. Next: gatewatch merge {name} PART..."
            )
            return
        kept = (asked.work or settings.data_dir / "bulk") / f"{name}.part"
        work = Work(found, Shard(), how, kept, asked.finish.allowed)
        run = part_on_ray if asked.engine == "ray" else part_here
        if run is part_here and work.kept_by_ray.exists():
            raise ChangedSourcesError(
                f"{work.kept_by_ray} was begun with Ray: finish it so, or remove it to begin anew"
            )
        part = run(name, asked, settings, plan, work)
        _say(finished(name, part, [kept], asked.finish, settings, extend=asked.extend))
        for each in (kept, work.kept_by_ray):
            each.unlink(missing_ok=True)


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
    with _told():
        settings = settings_of_environment()
        asked.check()
        with tqdm(total=len(parts), unit="part", desc="merge", delay=1.0) as bar:
            part, missing = merging.merged(parts, allow_missing=allow_missing, progress=bar.update)
        if missing:
            typer.echo(f"Warning: without shard(s) {', '.join(missing)}", err=True)
        _say(finished(name, part, parts, asked, settings, extend=extend))


@contextmanager
def _told() -> Iterator[None]:
    """Say why a fit at large ended early, and end the program."""
    with failures():
        try:
            yield
        except (UnfinishedError, StorageUnavailableError) as error:
            typer.echo(f"gatewatch: {error}", err=True)
            raise typer.Exit(UNFINISHED) from error
        except BulkError as error:
            typer.echo(f"gatewatch: {error}", err=True)
            raise typer.Exit(1) from error


def _say(made: Finished) -> None:
    """Say what the versions are, and what is promised."""
    fitted = made.fitted.stored
    entry = (made.calibrated.stored if made.calibrated else fitted).entry
    serves = "in service" if entry.in_service == entry.version.version else "not in service"
    typer.echo(
        f"{entry.name} version {entry.version.version} ({serves}): {made.fitted.used} image(s) "
        f"fitted now, {fitted.detector.fitted_images} fitted in all"
    )
    if made.calibrated is None:
        typer.echo(f"Next: gatewatch calibrate {entry.name} FOLDER")
        return
    line = made.calibrated.stored.detector.require_threshold()
    typer.echo(f"{made.calibrated.used} image(s) held out: threshold {line.value:.6g}")
    groups = made.calibrated.groups
    warn([*made.calibrated.warnings, *([groups.warning] if groups and groups.warning else [])])
    typer.echo(line.statement)
