"""What goes wrong with a command on its way: files, names, connections, outputs; on both sides."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import Sides, both_sides, folder_of, until
from history_helpers import picture
from ports import free_port
from real_server import MAX_BODY_BYTES, Server, environment
from typer.testing import CliRunner

from app.cli import cli
from gatewatch import Client, NewThreshold, ServerUnreachableError
from gatewatch.calls import Call

NAME = "bolts"
SEND = Client.send
ROOT = Path(__file__).parents[2]
STRANGE = ["[red]a.bmp", "[/x].bmp", ":smile:.bmp", "two\nlines.bmp", os.fsdecode(b"\xff\xfe.bmp")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of images: train, held-out, today; one of strange names, one with a bad disk."""
    contents = {f"train/{n}.bmp": picture(n) for n in range(40)}
    contents |= {f"held-out/{n}.bmp": picture(1000 + n) for n in range(39)}
    contents |= {f"today/{n}.bmp": picture(3000 + n, odd=90 * (n == 2)) for n in range(6)}
    contents |= {f"strange/lot-{n % 2}/{name}": picture(n) for n, name in enumerate(STRANGE)}
    contents |= {f"worn/{n}.bmp": picture(3000 + n) for n in range(3)}
    folder = folder_of(tmp_path_factory.mktemp("folders"), contents)
    (folder / "worn" / "1-broken.bmp").symlink_to("/proc/self/mem")  # input/output error
    return folder


@pytest.fixture
def sides(
    stub_server: Server, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sides]:
    """Both sides with a calibrated detector, among the folders."""
    monkeypatch.setenv("COLUMNS", "200")  # so that no row is broken
    with both_sides(stub_server, monkeypatch, data=tmp_path / "data", folder=folders) as sides:
        sides.both("fit", NAME, "train", "--image-size", "64")
        sides.both("calibrate", NAME, "held-out")
        yield sides


@pytest.fixture
def in_threes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request bring no more than three images."""
    monkeypatch.setattr("app.commands.parts.PART_BYTES", (MAX_BODY_BYTES - 100_000) // 3)


def test_a_file_that_cannot_be_read_is_invalid(sides: Sides) -> None:
    """Contract: with its name, on either side; the others are judged as if it were not there."""
    table = sides.both("score", NAME, "worn").stdout
    assert "invalid: the file cannot be read: Input/output error" in table
    told = json.loads(sides.both("score", NAME, "worn", "--json").stdout)["results"]
    assert [result["verdict"] == "invalid" for result in told] == [False, True, False, False]
    sides.both("score", NAME, "worn/1-broken.bmp")
    sides.both("score", "nobody", "worn", exit_code=1)


def test_a_file_that_is_too_large_is_invalid(sides: Sides, tmp_path: Path) -> None:
    """Contract: what no request can bring costs the others nothing."""
    large = tmp_path / "large.bmp"
    with large.open("wb") as file:
        file.truncate(MAX_BODY_BYTES + 1)
    ended = sides.remote("score", NAME, "today/0.bmp", str(large), "today/1.bmp", "--json")
    assert ended.exit_code == 0, ended.output
    before, refused, after = json.loads(ended.stdout)["results"]
    assert (refused["verdict"], refused["index"]) == ("invalid", 1)
    assert refused["problem"]["status"] == 413
    assert (refused["name"], before["problem"], after["problem"]) == (str(large), None, None)


@pytest.mark.usefixtures("in_threes")
def test_what_was_scored_is_printed_though_the_rest_fails(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: exit code 1, and what was not scored is named."""
    _second(monkeypatch, fails)
    for more in ((), ("--json",)):
        ended = sides.remote("score", NAME, "today", *more)
        assert ended.exit_code == 1
        assert "today/2.bmp" in ended.stdout
        assert "today/3.bmp" not in ended.stdout
        assert "scored 3 of 6 images; it stopped at the 3 from today/3.bmp" in ended.stderr
        assert "gatewatch: gone" in ended.stderr
        _second(monkeypatch, fails)


@pytest.mark.usefixtures("in_threes")
def test_another_version_meanwhile_is_told(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: a warning, for one list has what two versions said."""

    def drawn_anew(client: Client) -> None:
        client.set_threshold(NAME, 0.3)

    assert "Warning" not in sides.remote("score", NAME, "today").stderr
    _second(monkeypatch, drawn_anew)
    ended = sides.remote("score", NAME, "today")
    assert ended.exit_code == 0
    assert "version 4 judged from today/3.bmp on, version 3 before" in ended.stderr


def test_a_map_is_of_the_version_that_judged(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Law: another that is put in service between the two questions changes nothing of it."""
    command = ("map", NAME, "today/2.bmp", "--out", str(tmp_path / "it.png"))
    before = sides.remote(*command).stdout, (tmp_path / "it.png").read_bytes()

    def promoted(client: Client, call: Call[Any]) -> Any:
        answer = SEND(client, call)
        if call.path.endswith("/explain"):
            line = NewThreshold(method="manual", value=1000.0)
            SEND(client, Client.set_threshold(NAME, line))
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Client, "send", promoted)
        assert sides.remote(*command).stdout == before[0]
    assert (tmp_path / "it.png").read_bytes() == before[1]
    assert "score" in sides.remote(*command).stdout
    assert (tmp_path / "it.png").read_bytes() != before[1]  # by the version that serves now


def test_strange_names_are_kept_apart(sides: Sides) -> None:
    """Contract: whatever a file is called, it is fitted, grouped, scored and printed."""
    sides.both("fit", "odd", "strange", "--image-size", "64", "--group-pattern", "(lot-.)")
    with Client(sides.url) as client:
        known = {each.name: each.group for each in client.fitted_images("odd", 2)}
    shown = ["[red]a.bmp", "[/x].bmp", ":smile:.bmp", "two%0Alines.bmp", "%FF%FE.bmp"]
    assert known == {f"strange/lot-{n % 2}/{name}": f"lot-{n % 2}" for n, name in enumerate(shown)}
    table = sides.both("score", NAME, "strange").stdout
    assert all(name in table for name in shown)
    told = json.loads(sides.both("score", NAME, "strange", "--json").stdout)["results"]
    assert {each["name"] for each in told} == set(known)
    with Client(sides.url) as client:
        until("they are kept", lambda: len([*client.history(NAME)]) == 2 * len(STRANGE))
    replayed = sides.both("replay", NAME, "--value", "-1000").stdout
    assert all(name in replayed for name in shown)


def test_a_job_names_the_file_that_cannot_be_sent(sides: Sides) -> None:
    """Contract: one line; here it is left out by the same name."""
    for command in ("fit", "calibrate"):
        ended = sides.remote(command, NAME, "worn")
        assert ended.exit_code == 1
        assert "worn/1-broken.bmp" in ended.stderr
        assert "Traceback" not in ended.stderr
    assert "left out worn/1-broken.bmp" in sides.local("fit", NAME, "worn").stderr


def test_a_lost_connection_leaves_the_id_of_the_job(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: as after Ctrl-C; the job that goes on can still be found."""
    with monkeypatch.context() as patched:
        patched.setattr(Client, "events", lambda *_: fails(None))
        ended = sides.remote("fit", NAME, "held-out", "--extend")
    assert ended.exit_code == 1
    assert "gatewatch: gone" in ended.stderr
    with Client(sides.url) as client:
        job = next(client.jobs(detector=NAME))
        assert f"job {job.id} goes on at the server" in ended.stderr
        until("it has ended", lambda: client.job_info(job.id).state == "succeeded")
    refused = sides.remote("adapt", "--job", job.id, "--out", "new.safetensors")
    assert (refused.exit_code, "its kind is 'extend'" in refused.stderr) == (1, True)


BOUNDS = [
    (("export", NAME, "--out", "x", "--version", "0"), 2),
    (("replay", NAME, "--version", str(2**31)), 2),
    (("power", NAME, "--version", "0"), 2),
    (("fit", NAME, "train", "--reason", "x" * 501), 2),
    (("fit", NAME, "train", "--reason", "two\nlines"), 2),
    (("forget", NAME, "--group", ""), 2),
    (("forget", NAME, "--group", "g" * 201), 1),
    (("score", NAME, "today", "--group", "g" * 201), 1),
    (("score", NAME, "today", "--group", "a\tb"), 1),
    (("map", NAME, "today/0.bmp", "--out", "x.png", "--group", "g" * 201), 1),
]


def test_bounds_are_the_same_here(sides: Sides) -> None:
    """Contract: what a server would refuse is refused here in the same words."""
    for arguments, exit_code in BOUNDS:
        ended = sides.both(*arguments, exit_code=exit_code)
        assert "Traceback" not in ended.output


def test_a_password_in_an_address_is_not_said() -> None:
    """Contract: nowhere where the address is."""
    address = f"http://boss:pa55word@127.0.0.1:{free_port()}"
    for arguments in (("threshold", NAME), ("keys", "list"), ("simulate",)):
        ended = CliRunner().invoke(cli, [*arguments, "--url", address])
        assert ended.exit_code in (1, 2)
        assert "nobody answers at http://127.0.0.1" in ended.stderr
        assert "pa55word" not in ended.output
    for wrong in ("boss:pa55word@here", "http://boss:pa55word@", "http://boss:pa55word@a..b"):
        ended = CliRunner().invoke(cli, ["threshold", NAME, "--url", wrong])
        assert (ended.exit_code, "is no address" in ended.stderr) == (2, True)
        assert "pa55word" not in ended.output
    with Client(address) as client:
        assert repr(client) == f"Client('{address.replace('boss:pa55word@', '')}')"


def test_what_cannot_be_asked_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: no traceback for what is no id, nor for a proxy that nothing here can speak to."""
    for id in ("", "..", "zzz", "A" * 32, "0" * 33):
        ended = CliRunner().invoke(cli, ["cancel", id, "--url", "http://127.0.0.1:1"])
        assert (ended.exit_code, "give the id of a job" in ended.stderr) == (2, True)
    for proxy, exit_code in (("socks5://127.0.0.1:1", 1), ("gopher://127.0.0.1:1", 2)):
        monkeypatch.setenv("ALL_PROXY", proxy)
        ended = CliRunner().invoke(cli, ["threshold", NAME, "--url", "http://gatewatch.example"])
        assert (ended.exit_code, ended.stderr.count("\n")) == (exit_code, 1), ended.output
        assert ended.stderr.startswith("gatewatch: ")


@pytest.mark.parametrize("output", ["full", "gone", "closed"])
def test_a_key_that_cannot_be_printed_is_taken_back(tmp_path: Path, output: str) -> None:
    """Contract: it is revoked, for nobody has it; one line says so."""
    data = environment(GATEWATCH_DATA_DIR=str(tmp_path / "data"))
    ended = _into(output, ["keys", "create", "root", "--role", "admin"], data)
    assert ended.returncode == 1, ended.stderr
    assert "so it was revoked: make another" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
    command = [sys.executable, "-m", "app.cli", "keys", "list", "--json"]
    listed = subprocess.run(command, env=data, cwd=ROOT, capture_output=True, check=True)
    assert [key["state"] for key in json.loads(listed.stdout)["keys"]] == ["revoked"]


def test_a_reader_that_has_gone_ends_it_quietly(sides: Sides) -> None:
    """Contract: as other programs do that feed a pipe."""
    ended = _into("gone", ["threshold", NAME, "--url", sides.url], environment())
    assert (ended.returncode, ended.stderr) == (1, "")


def fails(_: Any) -> Any:
    """Fail as a client does whose server has gone."""
    raise ServerUnreachableError("gone")


def _second(monkeypatch: pytest.MonkeyPatch, before: Callable[[Client], Any]) -> None:
    """Let something happen before the second request of scores."""
    asked = 0

    def send(client: Client, call: Call[Any]) -> Any:
        nonlocal asked
        asked += call.path.endswith("/score")
        if asked == 2 and call.path.endswith("/score"):
            before(client)
        return SEND(client, call)

    monkeypatch.setattr(Client, "send", send)


def _into(output: str, arguments: list[str], variables: dict[str, str]) -> Any:
    """Run the command line into an output that takes nothing: full, gone or closed."""
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    closing = {"preexec_fn": partial(os.close, 1)} if output == "closed" else {}
    try:
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env=variables,
            cwd=ROOT,
            stdout=full if output == "full" else writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=300,
            **closing,  # type: ignore[call-overload]
        )
    finally:
        os.close(writing)
        os.close(full)
