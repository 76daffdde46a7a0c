"""Where no key is needed: on this machine alone, before there ever was one, and by no browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from http_helpers import problem
from key_helpers import BY, ask, asking, bearer, opened, small_app

from app.access import guard, identity
from app.access.credentials import Role, invent
from app.errors import UnprotectedError
from app.settings import Settings
from app.storage.database import Database
from app.storage.keys import Keys


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def test_the_first_key_closes_for_good(database: Database) -> None:
    """Contract: open on loopback while there never was a key; revoking all does not reopen it."""
    keys = Keys(database)
    with asking(database) as client:
        assert ask(client, "admin").json()[0] == "local"
        problem(ask(client, "score", bearer(invent()[1])), 401, "key-refused")
        response = client.post("/v1/keys", json={"name": "root", "role": "admin"})
        text = response.json()["key"]
        assert ask(client, "admin", bearer(text)).json()[0] == "root"
        problem(ask(client, "admin"), 401, "key-required")
        keys.revoke(BY, response.json()["id"], force=True)
    for settings in ({}, {"open": True}, {"host": "0.0.0.0", "open": True}, {"host": "0.0.0.0"}):
        with asking(database, **settings) as client:
            problem(ask(client, "score"), 401, "key-required")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LocalHost", "::1", "127.8.9.1"])
def test_loopback_is_open_by_default(database: Database, host: str) -> None:
    """Contract: every address that is this machine's alone."""
    with asking(database, host=host) as client:
        assert ask(client, "admin").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.168.1.7", "localhost.example.com"])
def test_other_addresses_need_a_key_or_a_word(database: Database, host: str) -> None:
    """Contract: it does not start, and says what to do; told to be open, it is."""
    with pytest.raises(UnprotectedError, match="GATEWATCH_OPEN=true") as caught:
        guard.install(FastAPI(), Settings(host=host), database)
    assert "gatewatch keys create NAME --role admin" in str(caught.value)
    with asking(database, "http://anything.example", host=host, open=True) as client:
        assert ask(client, "admin").json()[0] == "local"
    Keys(database).create(BY, "root", Role.ADMIN)
    small_app(database, host=host)


@pytest.mark.parametrize(
    ("url", "origin", "trusted"),
    [
        ("http://127.0.0.1:8000", None, True),
        ("http://localhost", "http://localhost", True),
        ("http://[::1]:8000", "http://[::1]:8000", True),
        ("http://rebound.example:8000", None, False),
        ("http://rebound.example:8000", "http://rebound.example:8000", False),
        ("http://127.0.0.1:8000", "http://evil.example", False),
        ("http://127.0.0.1:8000", "http://127.0.0.1:9000", False),
        ("http://127.0.0.1:8000", "null", False),
        ("http://127.0.0.1.example", None, False),
    ],
)
def test_pages_in_a_browser_are_not_this_machine(
    database: Database, url: str, origin: str | None, trusted: bool
) -> None:
    """Contract: without keys, a request through a foreign name or site needs one all the same."""
    headers = {} if origin is None else {"origin": origin}
    with asking(database, url) as client:
        response = ask(client, "admin", headers)
        if trusted:
            assert response.status_code == 200
        else:
            assert "localhost" in problem(response, 401, "key-required")["detail"]
    with asking(database, url, host="0.0.0.0", open=True) as client:
        own = origin is None or origin == url
        assert ask(client, "admin", headers).status_code == (200 if own else 401)
    Keys(database).create(BY, "root", Role.ADMIN)
    with asking(database, url) as client:
        told = problem(ask(client, "admin", headers), 401, "key-required")["detail"]
        assert "localhost" not in told


@pytest.mark.parametrize("host", ["[", "[::1", "a:b:c", "\x00", ""])
def test_strange_hosts_are_nobodys(host: str) -> None:
    """Contract: no exception, no trust."""
    assert not identity.is_loopback(identity._name(host))
