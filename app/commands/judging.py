"""The commands that judge images: ``score`` and ``map``."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from app.commands.common import Name, console
from app.commands.local.base import name_of
from app.commands.parts import in_parts, joined
from app.commands.sent import MaskFile, content, files, print_json
from app.commands.target import KeyFile, Url, limits, opened
from app.intake.grouping import check_group
from gatewatch import Scores

AT_ONCE = 100
"""Images of one request at most: its answer comes when all are judged, and who waits gives up."""
Group = Annotated[
    str, typer.Option(help="Lot, session or camera, whose own line judges if it has one.")
]


def score(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Images or folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
    group: Group = "",
    mask: MaskFile = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Score images: a table, or JSON."""
    with opened(url, key_file, name) as target:
        check_group(group)
        images, drawn = files(paths), content(mask)
        most = limits(target)
        room = most["max_body_bytes"] - len(drawn or b"")
        scored: list[Scores] = []
        try:
            for scores in in_parts(
                partial(target.score_batch, name, mask=drawn, group=group),
                images,
                min(most["max_request_images"], AT_ONCE),
                room,
            ):
                scored.append(scores)
        finally:  # whatever comes of the rest
            if scored:
                whole = joined(scored)
                print_json(whole) if as_json else console().print(_table(whole))


def draw_map(
    name: Name,
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Image.")],
    out: Annotated[Path, typer.Option(help="Where the picture goes: .png or .npy.")],
    group: Group = "",
    mask: MaskFile = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Draw where an image is odd, on a scale tied to the threshold."""
    kind = out.suffix.lower()
    if kind not in {".png", ".npy"}:
        raise typer.BadParameter("--out must end in .png or .npy")
    with opened(url, key_file, name) as target:
        check_group(group)
        one, drawn = (name_of(image), image), content(mask)
        told = target.explain(name, one, mask=drawn, group=group)
        picture = target.map(
            name,
            one,
            format="png" if kind == ".png" else "npy",
            mask=drawn,
            version=told.version,  # another may be put in service meanwhile
            group=group,
        )
        result = told.result
        out.write_bytes(picture)
        typer.echo(f"{one[0]}: {result.verdict}, score {result.score:.4g}; map in {name_of(out)}")


def _table(scores: Scores) -> Table:
    table = Table(title=f"{scores.detector}, version {scores.version}")
    for heading in ("image", "score", "threshold", "p-value", "verdict"):
        table.add_column(heading, justify="left" if heading in {"image", "verdict"} else "right")
    for result in scores.results:
        numbers = (result.score, result.threshold, result.p_value)
        reason = f": {result.problem.detail}" if result.problem else ""
        table.add_row(
            result.name,
            *("-" if number is None else f"{number:.4g}" for number in numbers),
            result.verdict + reason,
        )
    return table
