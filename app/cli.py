"""The command line: ``gatewatch serve``, and the same use cases with or without a server."""

import json
from contextlib import ExitStack
from typing import Annotated

import typer

from app import __version__, listening
from app.bench.command import ListOptions, bench
from app.commands.adapting import adapt
from app.commands.common import settings_of_environment
from app.commands.creating import create
from app.commands.doctor import doctor
from app.commands.fitting import fit
from app.commands.following import cancel
from app.commands.judging import draw_map, score
from app.commands.keys import keys
from app.commands.learning import calibrate, forget, threshold
from app.commands.managing import delete, detectors, promote, rollback, versions
from app.commands.merging import merge
from app.commands.moving import export, import_
from app.commands.power import power
from app.commands.replay import replay
from app.commands.simulate import simulate
from detector.errors import DetectorError

cli = typer.Typer(name="gatewatch", no_args_is_help=True, pretty_exceptions_enable=False)


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
) -> None:
    """Serve the HTTP API."""
    from app import main, serving  # here: as in app.commands.target.opened

    settings = settings_of_environment(host=host, port=port)
    with ExitStack() as held:
        try:  # the port first: to load a backbone takes a while
            sockets = held.enter_context(listening.bound(settings.host, settings.port))
            app = main.create_app(settings)
        except (DetectorError, OSError) as error:
            typer.echo(f"gatewatch: {error}", err=True)
            raise typer.Exit(1) from error
        in_order = serving.serve(app, settings, sockets)
    if not in_order:
        raise typer.Exit(1)


for command in (fit, merge, calibrate, forget, threshold, score, replay, power, export, adapt):
    cli.command()(command)
for managing in (create, detectors, versions, promote, rollback, delete):
    cli.command()(managing)
cli.command()(cancel)
cli.command("map")(draw_map)
cli.command("import")(import_)
cli.command(cls=ListOptions)(bench)
cli.command()(doctor)
cli.command()(simulate)
cli.add_typer(keys, name="keys")


@cli.command()
def openapi() -> None:
    """Print the OpenAPI description of the API."""
    from app.main import describe  # here: as for serve

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
