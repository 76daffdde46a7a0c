"""The commands that judge images: ``score`` and ``map``."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.commands.common import Name
from app.commands.local.base import File
from app.commands.sent import MaskFile, content, files, print_json
from app.commands.target import KeyFile, Url, limits, opened
from gatewatch import Scores

PART_BYTES = 1000
"""What a form needs for each image beside its content and its name."""
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
        images, drawn = files(paths), content(mask)
        most = limits(target)
        room = most["max_body_bytes"] - len(drawn or b"")
        answers = [
            target.score_batch(name, part, mask=drawn, group=group)
            for part in _parts(images, most["max_request_images"], room)
        ]
        results = [result for each in answers for result in each.results]
        numbered = [replace(result, index=at) for at, result in enumerate(results)]
        whole = replace(answers[0], results=numbered)
        if as_json:
            print_json(whole)
        else:
            Console().print(_table(whole))


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
        one, drawn = (str(image), image), content(mask)
        picture = target.map(
            name, one, format="png" if kind == ".png" else "npy", mask=drawn, group=group
        )
        result = target.explain(name, one, mask=drawn, group=group).result
        out.write_bytes(picture)
        typer.echo(f"{image}: {result.verdict}, score {result.score:.4g}; map in {out}")


def _parts(images: Sequence[File], most: int, room: int) -> Iterator[list[File]]:
    """Yield images as many at a time as one request may bring; one that is too large is alone."""
    part: list[File] = []
    filled = 0
    for image in images:
        size = image[1].stat().st_size + len(image[0].encode(errors="replace")) + PART_BYTES
        if part and (len(part) == most or filled + size > room):
            yield part
            part, filled = [], 0
        part.append(image)
        filled += size
    yield part


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
