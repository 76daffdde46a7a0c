"""Where a command works: on the data directory of this machine, or at a server (``--url``).

Both are asked in the same words, those of ``gatewatch.Client``, and answer in the same dataclasses:
``app.commands.local`` gives a service of this process that form. So a command prints what it is
told and need not know by whom. A key is never an argument, which every list of processes shows.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

import gatewatch
from app.commands.common import settings_of_environment
from app.errors import UnknownDetectorError, no_detector
from detector.errors import DetectorError
from detector.spec import NAME
from gatewatch import Client, GatewatchError, ProblemError, Retries
from gatewatch.connection import shown

if TYPE_CHECKING:
    from app.commands.local import Local

Url = Annotated[
    str | None,
    typer.Option(
        envvar="GATEWATCH_URL",
        help="Server to work at; else, or if empty, the data directory here.",
        show_default=False,
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="File of the API key for --url; else GATEWATCH_API_KEY. It is no argument: lists of "
        "processes show those.",
        show_default=False,
    ),
]
Target: TypeAlias = "Local | Client"
NOT_THERE = (UnknownDetectorError, gatewatch.UnknownDetectorError)
NEEDS_KEY = (gatewatch.KeyRequiredError, gatewatch.KeyRefusedError, gatewatch.RoleTooLowError)
GREETING_S = 10.0
"""How long a server may take to say that it is there."""


@contextmanager
def opened(url: str | None, key_file: Path | None, name: str | None = None) -> Iterator[Target]:
    """Give the server at an address, or a service on what is stored here; failures end with 1.

    Args:
        url: Of the server; None or empty for here.
        key_file: That holds the key for it.
        name: Of the detector that the command is about, if it is to be there.
    """
    with failures():
        if not url:
            refuse_key_file(key_file)
            # Here: with a server no command needs torch. Before the settings, which turn logging
            # on: some libraries have news of themselves when they are imported.
            from app.commands import local

            with local.started(settings_of_environment()) as here:
                yield here
            return
        with connected(url, key_file) as client:
            if name is not None and not re.fullmatch(NAME, name):
                raise no_detector(name)
            yield client


@contextmanager
def connected(url: str, key_file: Path | None) -> Iterator[Client]:
    """Give a client of a server that has answered.

    Raises:
        ServerUnreachableError, UnexpectedAnswerError: if nobody, or another one, is there.
    """
    key = key_file.read_text(errors="replace") if key_file else None
    try:
        with Client(url, key, timeout=GREETING_S, retries=0) as greeting:
            greeting.alive()
        client = Client(url, key, retries=Retries())
    except ImportError as error:  # of what speaks to the proxy that the environment names
        raise gatewatch.ServerUnreachableError(f"the proxy cannot be used: {error}") from error
    except ValueError as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(2) from error
    except gatewatch.ServerUnreachableError as error:
        raise gatewatch.ServerUnreachableError(
            f"nobody answers at {shown(url)} ({error.__cause__}): start it with gatewatch serve, "
            "or give its address with --url"
        ) from error
    except (gatewatch.UnexpectedAnswerError, ProblemError) as error:
        raise gatewatch.UnexpectedAnswerError(
            f"{shown(url)} is no gatewatch service: {error}"
        ) from error
    with client:
        yield client


def refuse_key_file(key_file: Path | None) -> None:
    """Refuse a key for nobody: it says that a server was meant."""
    if key_file is not None:
        raise typer.BadParameter("--key-file goes with --url: the data directory asks for no key")


@contextmanager
def failures() -> Iterator[None]:
    """Say what went wrong as it was expected to, wherever it did, and end the program with 1."""
    try:
        yield
    except BrokenPipeError:  # who read what is printed has seen enough
        raise
    except (DetectorError, GatewatchError, OSError) as error:
        typer.echo(f"gatewatch: {said(error)}", err=True)
        raise typer.Exit(1) from error


def said(error: Exception) -> str:
    """Return an error's words: of a server's problem the same as of the failure behind it."""
    if not isinstance(error, ProblemError):
        return str(error)
    if isinstance(error, NEEDS_KEY):
        return f"{error.detail}; give its key with --key-file or GATEWATCH_API_KEY"
    if error.status >= 500 and error.request_id:  # whose cause is in the server's log
        return f"{error.detail} (request {error.request_id})"
    return error.detail


def limits(target: Target) -> Mapping[str, int]:
    """Return what may be sent at most, and at least."""
    return target.info().limits if isinstance(target, Client) else target.limits
