"""The commands ``gatewatch keys``: on the database itself, so that they work when no key does.

With ``--url`` an admin's key manages those of a server.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from app.access import terms
from app.access.credentials import Role, without_secrets
from app.clock import now
from app.commands.common import Reason, console, settings_or_end
from app.commands.sent import print_json
from app.commands.tables import columns
from app.commands.target import KeyFile, Url, connected, failures, refuse_key_file
from app.errors import UnknownKeyError
from detector.errors import DetectorError
from gatewatch import Client, GatewatchError, answers

if TYPE_CHECKING:
    from app.commands.stored_keys import StoredKeys

keys = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@contextmanager
def _opened(url: str | None, key_file: Path | None) -> "Iterator[StoredKeys | Client]":
    """Give the keys of a server, or of the database that the environment names."""
    with failures():
        if url:
            with connected(url, key_file) as client:
                yield client
            return
        refuse_key_file(key_file)
        settings = settings_or_end()
        from app.commands import stored_keys  # here: with a server no command needs a database

        with stored_keys.opened(settings) as stored:
            yield stored


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose it is; given once.")],
    role: Annotated[Role, typer.Option(help="What it may do; each includes those before.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="How long it lasts.")] = None,
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Most requests a minute and process.")
    ] = None,
    force: Annotated[
        bool, typer.Option(help="Though there is no admin key; not with --url.")
    ] = False,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Make a key and print it, alone, to standard output: it is shown this once."""
    if force and url:
        raise typer.BadParameter("--force is for the database itself: leave out --url")
    moment = now()
    expires_at = moment + timedelta(days=days) if days else None
    forced = {"force": True} if force else {}
    with _opened(url, key_file) as known:
        terms.check(name, expires_at, per_minute, moment)
        made = known.create_key(
            name,
            role.value,
            expires_at=expires_at,
            per_minute=per_minute,
            reason=reason,
            **forced,
        )
        try:
            _print(made)
        except OSError as error:
            _take_back(known, made, error)
            raise typer.Exit(1) from error


def _print(made: answers.KeyMade) -> None:
    """Print a new key. Raises OSError if standard output takes it not."""
    until = f"until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else "for good"
    typer.echo(
        f"key {made.name}, role {made.role}, {until}; keep it, it is not shown again:", err=True
    )
    if sys.stdout is None:
        raise OSError("standard output is closed")
    typer.echo(made.key)


def _take_back(known: "StoredKeys | Client", made: answers.KeyMade, error: OSError) -> None:
    """Revoke a key that nobody has seen, and let nothing more be printed in its place."""
    try:
        known.revoke_key(made.id, force=True, reason="could not be printed")
        fate = "so it was revoked: make another"
    except (DetectorError, GatewatchError, OSError):
        fate = f"so nobody has it: gatewatch keys revoke {made.id} --force, on its database"
    typer.echo(f"gatewatch: the key could not be printed ({error}), {fate}", err=True)
    sys.stdout = None  # else it is tried once more at the end, with a traceback


@keys.command("list")
def list_all(
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers.")] = False,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """List all keys there ever were; never their text."""
    with _opened(url, key_file) as known:
        listed = answers.KeyList(keys=known.keys())
    if as_json:
        print_json(listed)
    else:
        console().print(_table(listed.keys))


@keys.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its id or name.")],
    force: Annotated[bool, typer.Option(help="Also the last admin key.")] = False,
    reason: Reason = "",
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Revoke a key for good; running servers take notice within a second."""
    with _opened(url, key_file) as known:
        listed = known.keys()
        found = {one.id for one in listed if key in (one.id, one.name)}
        if len(found) != 1:
            many = "several keys go by" if found else "there is no key"
            raise UnknownKeyError(f"{many} {without_secrets(key)!r}: see gatewatch keys list")
        known.revoke_key(found.pop(), force=force, reason=reason)
    typer.echo(f"revoked {key}")


def _table(listed: list[answers.KeyInfo]) -> Table:
    free = ("name", "per minute", "expires", "made by")
    headings = ("id", "name", "role", "state", "per minute", "expires", "made by")
    table = columns(Table(), *headings, wraps=free)
    for key in listed:
        expires = f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "-"
        limit = str(key.per_minute or "-")
        table.add_row(key.id, key.name, key.role, key.state, limit, expires, key.created_by)
    return table
