"""The commands ``gatewatch keys``: on the database itself, so that they work when no key does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from app.access.credentials import Role, without_secrets
from app.errors import UnknownKeyError
from app.schemas.keys import KeyInfo, KeyList
from app.settings import Settings, check_environment
from app.storage.audit import By
from app.storage.database import open_database
from app.storage.keys import Keys
from app.storage.tables import now
from detector.errors import DetectorError

WHO = "command line"
"""Who changes made here are by: no key's name, for it holds a space."""

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")
Reason = Annotated[str, typer.Option(help="Why; for the audit.")]


@contextmanager
def _opened() -> Iterator[Keys]:
    """Give the keys of the database that the environment names; failures end the program."""
    try:
        check_environment()
        settings = Settings()
    except (ValueError, ValidationError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(2) from error
    try:
        url = settings.database.get_secret_value() if settings.database else None
        database = open_database(url, settings.data_dir)
        try:
            yield Keys(database)
        finally:
            database.close()
    except (DetectorError, OSError) as error:
        typer.echo(f"gatewatch: {error}", err=True)
        raise typer.Exit(1) from error


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is; given once.")],
    role: Annotated[Role, typer.Option(help="What it may do; each includes those before.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long it lasts.")] = None,
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Most requests a minute and process.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Though there is no admin key.")] = False,
    reason: Reason = "",
) -> None:
    """Make a key and print it, alone, to standard output: it is shown this once."""
    with _opened() as stored:
        expires_at = now() + timedelta(days=days) if days else None
        made = stored.create(
            By(WHO, reason),
            name,
            role,
            expires_at=expires_at,
            per_minute=per_minute,
            force=force,
        )
    until = f"until {made.key.expires_at:%Y-%m-%d %H:%M} UTC" if made.key.expires_at else "for good"
    typer.echo(f"key {name}, role {role.value}, {until}; keep it, it is not shown again:", err=True)
    typer.echo(made.text)


@keys.command("list")
def list_all(
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
) -> None:
    """List all keys there ever were; never their text."""
    with _opened() as stored:
        listed = KeyList.of(stored.all())
    if as_json:
        typer.echo(json.dumps(listed.model_dump(mode="json"), indent=2))
    else:
        Console().print(_table(listed.keys))


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its id or name.")],
    force: Annotated[bool, typer.Option(help="Also the last admin key.")] = False,
    reason: Reason = "",
) -> None:
    """Revoke a key for good; running servers take notice within a second."""
    with _opened() as stored:
        found = {one.id for one in stored.all() if key in (one.id, one.name)}
        if len(found) != 1:
            many = "several keys go by" if found else "there is no key"
            raise UnknownKeyError(f"{many} {without_secrets(key)!r}: see gatewatch keys list")
        stored.revoke(By(WHO, reason), found.pop(), force=force)
    typer.echo(f"revoked {key}")


def _table(listed: list[KeyInfo]) -> Table:
    table = Table()
    for heading in ("id", "name", "role", "state", "per minute", "expires", "made by"):
        table.add_column(heading, no_wrap=heading == "id", overflow="fold")
    for key in listed:
        expires = f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "-"
        limit = str(key.per_minute or "-")
        table.add_row(key.id, key.name, key.role, key.state, limit, expires, key.created_by)
    return table
