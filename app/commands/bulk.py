"""``gatewatch fit`` at large and ``gatewatch merge``: any source, any number of processes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer
from tqdm import tqdm

from app.bulk import listing, merging
from app.bulk.errors import BulkError, ChangedSourcesError, UnfinishedError
from app.bulk.finishing import Finished
from app.bulk.fragments import Shard
from app.bulk.work import Work
from app.commands.common import settings_of_environment
from app.commands.large import Asked, Finish, how_of, shard_of
from app.commands.learning import warn
from app.commands.making import finished, part_here, part_on_ray, require_images, tell
from app.commands.target import failures
from app.errors import StorageUnavailableError
from app.storage.data_dir import require_data_dir

UNFINISHED = 75
"""Exit code of a fit that was stopped, or whose store failed: sysexits' EX_TEMPFAIL. The same
command goes on."""


def fit(name: str, asked: Asked) -> None:
    """Fit at large: the whole, or with ``--shard`` a part of it."""
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
    name: str, parts: Sequence[Path], asked: Finish, *, extend: bool, allow_missing: bool
) -> None:
    """Make the parts of all shards of a fit one detector."""
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
