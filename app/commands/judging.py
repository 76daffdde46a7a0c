"""The commands that judge samples: ``score`` and ``map``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from app.commands.common import Name, console, name_of
from app.commands.parts import in_parts, joined
from app.commands.samples import Samples
from app.commands.sent import MaskFile, content, files, print_json
from app.commands.tables import columns
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
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files or folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
    places: Annotated[
        bool | None,
        typer.Option(help="With --json: where each score comes from, of other kinds than images."),
    ] = None,
    group: Group = "",
    mask: MaskFile = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Score images, or samples of the detector's kind: a table, or JSON."""
    if places and not as_json:
        raise typer.BadParameter("--places goes with --json: the table has no room for them")
    with opened(url, key_file, name) as target:
        check_group(group)
        samples = Samples.of_detector(target, name)
        images, drawn = files(paths, samples), content(mask)

        def ask(images: Sequence[tuple[str, Any]]) -> Scores:
            return target.score_batch(name, images, mask=drawn, group=group, places=places)

        most = limits(target)
        room = most["max_body_bytes"] - len(drawn or b"")
        scored: list[Scores] = []
        try:
            at_once = min(most["max_request_images"], AT_ONCE)
            for scores in in_parts(ask, images, at_once, room, samples.texts(images)):
                scored.append(scores)
        finally:  # whatever comes of the rest
            if scored:
                whole = joined(scored)
                print_json(whole) if as_json else console().print(_table(whole, samples.noun))


def draw_map(
    name: Name,
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="File of one.")],
    out: Annotated[Path, typer.Option(help="Where the picture goes: .png or .npy.")],
    group: Group = "",
    mask: MaskFile = None,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Draw where an image, or another sample, is odd, on a scale tied to the threshold."""
    kind = out.suffix.lower()
    if kind not in {".png", ".npy"}:
        raise typer.BadParameter("--out must end in .png or .npy")
    with opened(url, key_file, name) as target:
        check_group(group)
        one = Samples.of_detector(target, name).alone((name_of(image), image))
        drawn = content(mask)
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


def _table(scores: Scores, noun: str) -> Table:
    table = Table(title=f"{scores.detector}, version {scores.version}")
    numbered = ("score", "threshold", "p-value")
    columns(table, noun, *numbered, "verdict", wraps={noun, "verdict"}, right=numbered)
    for result in scores.results:
        numbers = (result.score, result.threshold, result.p_value)
        reason = f": {result.problem.detail}" if result.problem else ""
        table.add_row(
            result.name,
            *("-" if number is None else f"{number:.4g}" for number in numbers),
            result.verdict + reason,
        )
    return table
