"""The command line: ``gatewatch serve``, and the same use cases on folders without a server."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from app import __version__, inspection, masks, option_text, overlay, sources
from app.adapting import adapt
from app.bench.command import ListOptions, bench
from app.errors import UnknownDetectorError
from app.main import create_app, create_service, describe
from app.results import Rejected
from app.schemas.scores import Scores
from app.service import Service
from app.settings import Settings, check_environment
from app.sources import Upload
from detector.errors import DetectorError, InvalidSpecError
from detector.spec import Mask as MaskKind

cli = typer.Typer(name="gatewatch", no_args_is_help=True, pretty_exceptions_enable=False)
Name = Annotated[str, typer.Argument(help="Name of the detector.")]
MaskFile = Annotated[
    Path | None,
    typer.Option(help="Image or polygons (JSON), for a detector that takes a mask per request."),
]
Folder = Annotated[Path, typer.Argument(exists=True, help="Image, or folder of images.")]


def _settings(**overrides: Any) -> Settings:
    """Return the settings of the environment, or end the program with what is wrong with it."""
    try:
        check_environment()
        settings = Settings(**{k: v for k, v in overrides.items() if v is not None})
    except (ValueError, ValidationError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(2) from error
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s %(name)s %(message)s"
    )
    return settings


def _run(work: Callable[[Service], Awaitable[None]]) -> None:
    """Start a service on the data directory, do the work, stop it; expected failures end with 1."""

    async def started(settings: Settings) -> None:
        async with create_service(settings) as service:
            await work(service)

    try:
        asyncio.run(started(_settings()))
    except (DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error


def _sources(path: Path) -> list[sources.Source]:
    return sources.from_folder(path) if path.is_dir() else [sources.from_path(path)]


def _upload(paths: list[Path], mask: Path | None) -> Upload:
    images = [source for path in paths for source in _sources(path)]
    return Upload(images, mask.read_bytes() if mask else None)


def _report(rejected: list[Rejected]) -> None:
    for item in rejected:
        typer.echo(f"left out {item.name}: {item.error}", err=True)


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve the HTTP API."""
    settings = _settings(host=host, port=port)
    try:
        app = create_app(settings)
    except (DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        access_log=False,  # the middleware writes one line per request
        timeout_keep_alive=65,  # longer than a load balancer's usual 60 s
        timeout_graceful_shutdown=settings.drain_seconds,
    )


@cli.command()
def fit(
    name: Name,
    folder: Folder,
    scorer: Annotated[str | None, typer.Option(help="For a new detector.")] = None,
    descriptor: Annotated[str | None, typer.Option(help="For a new detector.")] = None,
    image_size: Annotated[int | None, typer.Option(help="For a new detector.")] = None,
    roi: Annotated[
        Path | None, typer.Option(help="For a new detector: image or polygons of what counts.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="For a new detector: KEY=VALUE, as flips=true.")
    ] = None,
    mask: MaskFile = None,
    extend: Annotated[bool, typer.Option(help="Add to what the detector knows.")] = False,
) -> None:
    """Fit a detector to normal images; create it if there is none of that name."""

    async def work(service: Service) -> None:
        upload = _upload([folder], mask)
        chosen = {"scorer": scorer, "descriptor": descriptor, "image_size": image_size}
        what: dict[str, Any] = {key: value for key, value in chosen.items() if value is not None}
        if option:
            what["options"] = option_text.parse(option)
        if roi and mask:
            raise InvalidSpecError("--roi fixes the mask for good, --mask sends one: choose")
        if roi:
            most = service.settings.max_image_pixels
            what["mask"] = masks.from_upload(roi.read_bytes(), max_pixels=most)
        try:
            service.catalogue.get(name)
        except UnknownDetectorError:
            kind: MaskKind = "fixed" if roi else "request" if mask else "none"
            service.catalogue.create(name, mask_kind=kind, **what)
        else:
            if what:
                raise InvalidSpecError(
                    f"detector {name!r} exists: {', '.join(what)} can only be given to a new one"
                )
        with tqdm(total=len(upload.images), unit="image", desc="fit") as bar:
            learned = await service.fit(name, upload, extend=extend, progress=bar.update)
        _report(learned.rejected)
        detector = learned.stored.detector
        typer.echo(
            f"{name} version {detector.version}: {learned.used} image(s) fitted now, "
            f"{detector.fitted_images} in all. Next: gatewatch calibrate {name} FOLDER"
        )

    _run(work)


@cli.command()
def calibrate(
    name: Name,
    folder: Folder,
    target: Annotated[float, typer.Option(help="Highest false-alarm rate, a fraction.")] = 0.05,
    mask: MaskFile = None,
) -> None:
    """Set the threshold from normal images that were not fitted."""

    async def work(service: Service) -> None:
        upload = _upload([folder], mask)
        with tqdm(total=len(upload.images), unit="image", desc="calibrate") as bar:
            learned = await service.calibrate(name, upload, target=target, progress=bar.update)
        _report(learned.rejected)
        threshold = learned.stored.detector.require_threshold()
        typer.echo(f"threshold {threshold.value:.6g}. {threshold.statement}")

    _run(work)


@cli.command()
def score(
    name: Name,
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Images or folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
    mask: MaskFile = None,
) -> None:
    """Score images: a table, or JSON."""

    async def work(service: Service) -> None:
        upload = _upload(paths, mask)
        parts = []
        most = service.settings.max_request_images
        for start in range(0, len(upload.images), most):
            part = replace(upload, images=upload.images[start : start + most])
            parts.append(await service.score(name, part))
        answers = [Scores.of(part) for part in parts]
        results = [result for answer in answers for result in answer.results]
        for index, result in enumerate(results):
            result.index = index
        whole = answers[0].model_copy(update={"results": results})
        if as_json:
            typer.echo(json.dumps(whole.model_dump(mode="json"), indent=2))
        else:
            Console().print(_table(whole))

    _run(work)


@cli.command("map")
def draw_map(
    name: Name,
    image: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Image.")],
    out: Annotated[Path, typer.Option(help="Where the picture goes: .png or .npy.")],
    mask: MaskFile = None,
) -> None:
    """Draw where an image is odd, on a scale tied to the threshold."""
    kind = out.suffix.lower()
    if kind not in {".png", ".npy"}:
        raise typer.BadParameter("--out must end in .png or .npy")

    async def work(service: Service) -> None:
        inspected = await inspection.inspect(service, name, _upload([image], mask), needs_map=True)
        out.write_bytes(overlay.of(inspected, "png" if kind == ".png" else "npy"))
        verdict = inspected.verdict
        typer.echo(f"{image}: {verdict.word}, score {verdict.score:.4g}; map in {out}")

    _run(work)


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
