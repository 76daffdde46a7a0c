"""The command line: ``gatewatch serve``, and the same use cases on folders without a server."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app import __version__, serving
from app.bench.command import ListOptions, bench
from app.commands.adapting import adapt
from app.commands.common import Name, run, settings_of_environment
from app.commands.doctor import doctor
from app.commands.keys import keys
from app.commands.learning import MaskFile, calibrate, fit, forget, threshold
from app.commands.moving import export, import_
from app.commands.power import power
from app.commands.replay import replay
from app.commands.simulate import simulate
from app.images import sources
from app.images.sources import Upload
from app.intake.local_images import files_in
from app.main import create_app, describe
from app.schemas.scores import Scores
from app.scoring import inspection, overlay
from app.service import Service
from detector.errors import DetectorError

cli = typer.Typer(name="gatewatch", no_args_is_help=True, pretty_exceptions_enable=False)


Group = Annotated[
    str, typer.Option(help="Lot, session or camera, whose own line judges if it has one.")
]


def _upload(paths: list[Path], mask: Path | None) -> Upload:
    images = [sources.from_path(file) for path in paths for file in files_in(path)]
    return Upload(images, mask.read_bytes() if mask else None)


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve the HTTP API."""
    settings = settings_of_environment(host=host, port=port)
    try:
        app = create_app(settings)
    except (DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error
    if not serving.serve(app, settings):
        raise typer.Exit(1)


for command in (fit, calibrate, forget, threshold, replay, power, export):
    cli.command()(command)
cli.command("import")(import_)


@cli.command()
def score(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Images or folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
    group: Group = "",
    mask: MaskFile = None,
) -> None:
    """Score images: a table, or JSON."""

    async def work(service: Service) -> None:
        upload = _upload(paths, mask)
        parts = []
        most = service.settings.max_request_images
        for start in range(0, len(upload.images), most):
            part = replace(upload, images=upload.images[start : start + most])
            parts.append(await service.score(name, part, group=group))
        answers = [Scores.of(part) for part in parts]
        results = [result for answer in answers for result in answer.results]
        for index, result in enumerate(results):
            result.index = index
        whole = answers[0].model_copy(update={"results": results})
        if as_json:
            typer.echo(json.dumps(whole.model_dump(mode="json"), indent=2))
        else:
            Console().print(_table(whole))

    run(work)


@cli.command("map")
def draw_map(
    name: Name,
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Image.")],
    out: Annotated[Path, typer.Option(help="Where the picture goes: .png or .npy.")],
    group: Group = "",
    mask: MaskFile = None,
) -> None:
    """Draw where an image is odd, on a scale tied to the threshold."""
    kind = out.suffix.lower()
    if kind not in {".png", ".npy"}:
        raise typer.BadParameter("--out must end in .png or .npy")

    async def work(service: Service) -> None:
        upload = _upload([image], mask)
        inspected = await inspection.inspect(service, name, upload, needs_map=True, group=group)
        out.write_bytes(overlay.of(inspected, "png" if kind == ".png" else "npy"))
        verdict = inspected.verdict
        typer.echo(f"{image}: {verdict.word}, score {verdict.score:.4g}; map in {out}")

    run(work)


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


cli.command(cls=ListOptions)(bench)
cli.command()(adapt)
cli.command()(doctor)
cli.command()(simulate)
cli.add_typer(keys, name="keys")


@cli.command()
def openapi() -> None:
    """Print the OpenAPI description of the API."""
    typer.echo(json.dumps(describe().openapi(), indent=2))


@cli.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
