"""What all commands share: settings or a clear end, names of files, answers as a client's."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from app.environment import InvalidSettingsError, read_settings
from app.schemas.base import MAX_VERSION, Body
from app.settings import Settings
from gatewatch.images import sendable
from gatewatch.reading import read

T = TypeVar("T")
File = tuple[str, Path]
"""An image by its name and path; the client takes it so, too."""
Files = Sequence[File]
Name = Annotated[str, typer.Argument(help="Name of the detector.")]
Version = Annotated[
    int | None,
    typer.Option(min=1, max=MAX_VERSION, help="Number of the version; else the one in service."),
]
BaseVersion = Annotated[
    int | None,
    typer.Option("--base", min=1, max=MAX_VERSION, help="Version to build on; else the tip."),
]

MAX_REASON = 500
"""Characters, as of a request."""


def _reason(text: str) -> str:
    if len(text) > MAX_REASON or sendable(text) != text:
        raise typer.BadParameter(f"at most {MAX_REASON} characters, without line ends and controls")
    return text


Reason = Annotated[str, typer.Option(callback=_reason, help="Why; for the audit.")]


SAYS_ADDRESSES = ("httpx", "httpcore")
"""Loggers of every request's address, which of a webhook may be, or hold, a secret."""


def settings_of_environment(**overrides: Any) -> Settings:
    """Return the settings of the environment, and log as they say; else as ``settings_or_end``."""
    settings = settings_or_end(**overrides)
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s %(name)s %(message)s"
    )
    for name in SAYS_ADDRESSES:
        logging.getLogger(name).setLevel(logging.WARNING)
    return settings


def settings_or_end(**overrides: Any) -> Settings:
    """Return the settings of the environment, or end the program with what is wrong with it."""
    try:
        return read_settings(**overrides)
    except InvalidSettingsError as error:
        for line in str(error).splitlines():
            typer.echo(f"gatewatch: {line}", err=True)
        raise typer.Exit(2) from error


def name_of(path: Path) -> str:
    """Return the name by which a file is known, here and at a server; it can be printed."""
    return sendable(str(path))


def console() -> Console:
    """Return what prints tables, and names as they are: none is markup."""
    return Console(markup=False, emoji=False)


def answer(kind: type[T], body: Body) -> T:
    """Return a body of the API as the client reads it."""
    return read(kind, body.model_dump(mode="json"))
