"""``gatewatch keys``: on the database alone, whatever a running server lets through."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from key_helpers import asking, bearer, opened
from typer.testing import CliRunner, Result

from app.commands.keys import keys
from app.commands.stored_keys import WHO
from app.storage.audit import Audit
from app.storage.keys import Keys

Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Run:
    def run(*arguments: str, exit_code: int = 0) -> Result:
        ended = CliRunner().invoke(keys, arguments, terminal_width=200)
        assert ended.exit_code == exit_code, ended.output
        assert ended.exception is None or isinstance(ended.exception, SystemExit)
        assert "Traceback" not in ended.output
        return ended

    return run


def create(run: Run, name: str = "root", role: str = "admin", *more: str) -> str:
    """Make a key; return its text, which is all that standard output has."""
    made = run("create", name, "--role", role, *more)
    text = made.stdout.removesuffix("\n")
    assert re.fullmatch(r"gw_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", text)
    assert text not in made.stderr
    assert name in made.stderr
    return text


def listed(run: Run) -> dict[str, Any]:
    """Return the keys by name, as JSON has them."""
    return {key["name"]: key for key in json.loads(run("list", "--json").stdout)["keys"]}


def test_a_key_made_here_opens_a_running_server(run: Run, data: Path) -> None:
    """Contract: at once; and it closes the server to whoever has none, within a second."""
    with opened(data) as database, asking(database) as client:
        assert client.get("/v1/score").json() == "local"
        text = create(run)
        assert client.get("/v1/score", headers=bearer(text)).json() == "root"
        assert client.get("/v1/score").status_code == 401


def test_terms_are_kept_and_told(run: Run) -> None:
    """Contract: what was asked for; standard error says until when, the list has it all."""
    text = create(run)
    made = run("create", "camera", "--role", "fit", "--days", "30", "--per-minute", "90")
    assert re.search(r"role fit, until 20\d\d-\d\d-\d\d \d\d:\d\d UTC", made.stderr)
    camera, root = listed(run)["camera"], listed(run)["root"]
    assert (camera["role"], camera["per_minute"], camera["state"]) == ("fit", 90, "usable")
    assert (camera["expires_at"] or "") > camera["created_at"]
    assert (root["expires_at"], root["created_by"]) == (None, WHO)
    table = run("list").stdout
    for word in ("camera", "root", root["id"], "usable", "admin", "90"):
        assert word in table
    for output in (table, run("list", "--json").stdout):
        assert text[16:] not in output
        assert "sha256" not in output


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_key_is_revoked_by_id_or_name(run: Run, by: str) -> None:
    """Contract: for good; again is no error."""
    create(run)
    create(run, "camera", "score")
    which = listed(run)["camera"][by]
    for _ in range(2):
        run("revoke", which)
        assert listed(run)["camera"]["state"] == "revoked"
    assert listed(run)["root"]["state"] == "usable"


def test_what_could_mean_two_keys_means_none(run: Run, data: Path) -> None:
    """Contract: a name may look like another key's id; then neither is revoked."""
    create(run)
    look_alike = listed(run)["root"]["id"]
    create(run, look_alike)
    assert "several keys" in run("revoke", look_alike, exit_code=1).stderr
    assert {key["state"] for key in listed(run).values()} == {"usable"}


def test_the_last_admin_key_goes_by_force_only(run: Run) -> None:
    """Contract: and afterwards this command makes another one all the same."""
    assert "admin" in run("create", "camera", "--role", "score", exit_code=1).stderr
    create(run, "camera", "score", "--force")
    create(run)
    assert "no admin key" in run("revoke", "root", exit_code=1).stderr
    run("revoke", "root", "--force")
    create(run, "again")


def test_changes_are_in_the_audit(run: Run, data: Path) -> None:
    """Contract: by the command line, with the reason, and without a key that stands in it."""
    text = create(run, "root", "admin", "--reason", "first")
    run("revoke", "root", "--force", "--reason", f"{text} leaked")
    with opened(data) as database:
        made, revoked = Audit(database).lines()
    assert (made.who, made.reason) == (WHO, "first")
    assert revoked.reason == f"{text[:16]}... leaked"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("create", "root", "--role", "admin"), 1, "'root'"),
        (("create", "local", "--role", "admin"), 1, "'local'"),
        (("create", "a b", "--role", "admin"), 1, "does not match"),
        (("create", "x", "--role", "owner"), 2, "owner"),
        (("create", "x"), 2, "--role"),
        (("create", "x", "--role", "fit", "--days", "0"), 2, "--days"),
        (("create", "x", "--role", "fit", "--days", "3651"), 2, "--days"),
        (("create", "x", "--role", "fit", "--per-minute", "0"), 2, "--per-minute"),
        (("create", "x", "--role", "fit", "--per-minute", "9999999"), 1, "requests a minute"),
        (("revoke", "nobody"), 1, "gatewatch keys list"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, arguments: tuple[str, ...], exit_code: int, message: str
) -> None:
    """Contract: what is wrong, and no other key than before."""
    create(run)
    assert message in run(*arguments, exit_code=exit_code).stderr
    assert list(listed(run)) == ["root"]


def test_a_key_given_as_a_name_is_not_repeated(run: Run) -> None:
    """Contract: neither where one is made nor where one is revoked."""
    text = create(run)
    for arguments in (("create", text, "--role", "fit"), ("revoke", text)):
        assert text[16:] not in run(*arguments, exit_code=1).output


def test_a_bad_environment_is_refused(
    run: Run, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: exit code 2 for settings, 1 for a data directory that is none."""
    with monkeypatch.context() as patched:
        patched.setenv("GATEWATCH_PROT", "1")
        assert "GATEWATCH_PROT" in run("list", exit_code=2).stderr
    with monkeypatch.context() as patched:
        patched.setenv("GATEWATCH_PORT", "many")
        assert "GATEWATCH_PORT: must be" in run("list", exit_code=2).stderr
    data.write_text("a file")
    assert "data" in run("list", exit_code=1).stderr


def test_keys_are_made_on_postgresql_too(
    run: Run, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the database that the settings name, and no other."""
    monkeypatch.setenv("GATEWATCH_DATABASE", postgres_url)
    text = create(run)
    with opened(tmp_path / "elsewhere", postgres_url) as database:
        assert Keys(database).snapshot().match(text)
    assert not (tmp_path / "data" / "gatewatch.sqlite").exists()
