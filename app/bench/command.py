"""The command ``gatewatch bench``: arguments to a benchmark, its results to files."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from threadpoolctl import threadpool_limits
from typer.core import TyperCommand

from app.bench.layouts import BenchError, find_sets
from app.commands.common import settings_or_end
from detector.backbones import BACKBONES
from detector.errors import DetectorError
from detector.spec import DEFAULT_IMAGE_SIZE

_LISTS = {
    "--seeds": re.compile(r"-?\d+"),
    "--config": re.compile(r"\w+/\w+(:\S+)?"),
    "--backbone": re.compile(rf"({'|'.join(BACKBONES)})(@.+)?|timm:.+"),
}
PEERS = ("anomalib",)


class ListOptions(TyperCommand):
    """Lets ``--seeds`` and ``--config`` take several values: ``--seeds 0 1 2``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each further value, as the parser wants it."""
        return super().parse_args(ctx, spread(args))


def spread(args: Sequence[str]) -> list[str]:
    """Return arguments with ``--seeds 0 1`` written as ``--seeds 0 --seeds 1``.

    A list ends at the first value that does not look like one, or that is an existing path.
    """
    out: list[str] = []
    option, first = "", False
    for argument in args:
        if argument in _LISTS:
            option, first = argument, True
        elif option and first:
            first = False
        elif option and _LISTS[option].fullmatch(argument) and not Path(argument).exists():
            out.append(option)
        else:
            option = ""
        out.append(argument)
    return out


def bench(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Sets, folders of sets or of classes.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the results; made if missing.")],
    size: Annotated[int, typer.Option(help="Side of the images, pixels.")] = DEFAULT_IMAGE_SIZE,
    train_limit: Annotated[int, typer.Option(min=1, help="Most images to fit, drawn.")] = 300,
    seeds: Annotated[list[int] | None, typer.Option(help="Of the draws: one or more.")] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(help="descriptor/scorer[:key=value,..]: one or more; else all."),
    ] = None,
    backbone: Annotated[
        list[str] | None,
        typer.Option(help="NAME or NAME@FILE of weights: one or more; else the service's."),
    ] = None,
    compare: Annotated[str, typer.Option(help="anomalib: PatchCore, PaDiM and DFM too.")] = "",
) -> None:
    """Measure detection on folders of images: results.json, .csv, summary.md and plots."""
    try:
        if compare not in {"", *PEERS}:
            raise BenchError(f"nothing to compare with named {compare!r}; there is: anomalib")
        settings = settings_or_end()
        sets = find_sets(folders)
        from app.bench import heats  # here: other commands need no network
        from app.bench.run import Plan

        plan = Plan(sets, list(dict.fromkeys(seeds or [0])), size, train_limit)
        threadpool_limits(1, user_api="blas")  # as the service does
        taking_part = heats.heats_of(settings, backbone or [], config or [], compare, size)
        heats.measure_all(plan, taking_part, out)
    except (BenchError, DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error
