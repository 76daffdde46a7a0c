"""What needs the real backbone of commands at a server: masks, adapted gates; and keys."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_helpers import Sides, folder_of, until
from http_helpers import Pixels, encode
from real_server import Server
from typer.testing import CliRunner

import detector.adapt
from app.cli import cli
from detector.embedder import Embedder
from gatewatch import Client, ServerUnreachableError
from models import adaptation

QUICK = [sys.executable, str(Path(__file__).with_name("quick_server.py"))]
LEFT = b"[[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process on the backbone that is shipped."""
    directory = tmp_path_factory.mktemp("server") / "data"
    with Server(directory, {"TEST_KEEP": "1"}, QUICK).serving() as server:
        yield server


@pytest.fixture
def sides(
    server: Server,
    texture: list[Pixels],
    embedder: Embedder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Sides:
    """Both sides, among folders of images."""
    odd = texture[60].copy()
    odd[16:64, 80:120] = (250, 220, 10)
    contents = {f"train/{n}.png": encode(texture[n]) for n in range(20)}
    contents |= {f"held-out/{n}.png": encode(texture[n]) for n in range(20, 40)}
    contents |= {"left.json": LEFT, "odd.png": encode(odd), "held-out/broken.png": b"no image"}
    monkeypatch.chdir(folder_of(tmp_path / "pictures", contents))
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GATEWATCH_DEVICE", "cpu")
    return Sides(server, monkeypatch, embedder)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["--roi", "--mask"])
def test_masks_come_along(sides: Sides, how: str) -> None:
    """Law: fixed at the first fit or sent each time, the score is the same on both sides."""
    mask = ("--mask", "left.json") if how == "--mask" else ()
    name = f"half{how}"
    sides.both("fit", name, "train", "--image-size", "64", how, "left.json")
    sides.both("calibrate", name, "held-out", *mask)
    assert "normal" in sides.both("score", name, "odd.png", *mask).stdout  # what is odd is outside
    missing = () if mask else ("--mask", "left.json")
    sides.both("score", name, "odd.png", *missing, exit_code=1)


@pytest.mark.slow
def test_gates_are_adapted(sides: Sides, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: the same gates, digest and figures as here; nothing is written over."""
    monkeypatch.setattr(adaptation, "STEPS", 2)
    monkeypatch.setattr(adaptation, "ROUNDS", 1)
    monkeypatch.setattr(detector.adapt, "verdict", lambda *_: (True, "It helped"))
    written = []
    for side in ("here", "there"):
        command = ["adapt", ".", "--size", "64", "--out", "new/gates.safetensors"]
        if side == "there":
            command += ["--url", sides.url]
        ended = CliRunner().invoke(cli, command, terminal_width=200)
        assert ended.exit_code == 0, ended.output
        assert "left out held-out/broken.png: not an image" in ended.stderr
        written.append([(path.name, path.read_bytes()) for path in sorted(Path("new").iterdir())])
        written[-1].append(("stdout", ended.stdout.encode()))
        again = CliRunner().invoke(cli, command)
        assert (again.exit_code, "exists: choose another name" in again.stderr) == (1, True)
        for path in Path("new").iterdir():
            path.unlink()

    def lost(*_: object) -> None:
        raise ServerUnreachableError("gone")

    command = ["adapt", ".", "--size", "64", "--out", "new/gates.safetensors", "--url", sides.url]
    with monkeypatch.context() as patched:
        patched.setattr(Client, "gates", lost)
        ended = CliRunner().invoke(cli, command)
    assert (ended.exit_code, list(Path("new").iterdir())) == (1, [])
    (again,) = re.findall("gatewatch (adapt --job .*)", ended.stderr)
    ended = CliRunner().invoke(cli, [*again.split(), "--url", sides.url], terminal_width=200)
    assert ended.exit_code == 0, ended.output
    fetched = [(path.name, path.read_bytes()) for path in sorted(Path("new").iterdir())]
    assert fetched == written[1][:-1]
    names = ["gates.json", "gates.safetensors", "gates.sha256", "stdout"]
    assert [name for name, _ in written[0]] == names
    assert written[0] == written[1]


@pytest.mark.parametrize(
    "arguments",
    [(), (".", "--job", "0" * 32), ("--job", "0" * 32), ("--job", "", "--url", "http://here")],
    ids=["neither", "both", "here", "empty"],
)
def test_gates_are_of_images_or_of_a_job(arguments: tuple[str, ...]) -> None:
    """Contract: one of them, and a job only of a server; nothing is begun."""
    ended = CliRunner().invoke(cli, ["adapt", *arguments, "--out", "x.safetensors"])
    assert (ended.exit_code, "job" in ended.stderr) == (2, True)


def test_keys_are_managed_at_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stub_command: list[str]
) -> None:
    """Contract: as on the database; a key is read from a file or the environment."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path / "here"))
    with Server(tmp_path / "data", {}, stub_command).serving() as server:
        sides = Sides(server, monkeypatch)
        sides.both("keys", "create", "lamp", "--role", "fit", exit_code=1)  # no admin yet
        sides.both("keys", "create", "a b", "--role", "admin", exit_code=1)
        made = sides.remote("keys", "create", "boss", "--role", "admin")
        assert made.exit_code == 0, made.output
        assert "key boss, role admin, for good" in made.stderr
        sides.local("keys", "create", "boss", "--role", "admin")
        until("a key is asked for", lambda: sides.remote("keys", "list").exit_code == 1)
        refused = sides.remote("keys", "list")
        assert refused.exit_code == 1
        assert "give its key with --key-file or GATEWATCH_API_KEY" in refused.stderr
        assert "Traceback" not in refused.output
        (tmp_path / "boss").write_text(made.stdout)
        keyed = ("--key-file", str(tmp_path / "boss"))
        assert "boss" in sides.remote("keys", "list", *keyed).stdout
        monkeypatch.setenv("GATEWATCH_API_KEY", made.stdout.strip())
        sides.both("keys", "create", "lamp", "--role", "score", "--days", "2", "--per-minute", "9")
        sides.both("keys", "create", "lamp", "--role", "score", exit_code=1)
        sides.both("keys", "create", "x", "--role", "fit", "--per-minute", "9999999", exit_code=1)
        told = sides.both("keys", "revoke", "lamp", "--reason", "lost")
        assert told.stdout == "revoked lamp\n"
        sides.both("keys", "revoke", "nobody", exit_code=1)
        sides.both("keys", "revoke", "boss", exit_code=1)
        monkeypatch.setenv("GATEWATCH_API_KEY", "gw_wrong")
        wrong = sides.remote("threshold", "bolts")
        assert (wrong.exit_code, "unknown, wrong or revoked" in wrong.stderr) == (1, True)


def test_a_key_file_that_cannot_be(tmp_path: Path) -> None:
    """Contract: exit code 2 for what was typed, before anything is sent; its text is not shown."""
    file = tmp_path / "key"
    file.write_text("gw_käse")
    there = ["--url", "http://127.0.0.1:1", "--key-file"]
    ended = CliRunner().invoke(cli, ["threshold", "bolts", *there, str(file)])
    assert (ended.exit_code, "no key has" in ended.stderr) == (2, True)
    assert "käse" not in ended.output
    assert CliRunner().invoke(cli, ["threshold", "x", *there, "nowhere"]).exit_code == 2
    alone = CliRunner().invoke(cli, ["threshold", "bolts", "--key-file", str(file)])
    assert (alone.exit_code, "goes with --url" in alone.stderr) == (2, True)
    for command in ("serve", "doctor", "bench"):
        assert CliRunner().invoke(cli, [command, "--url", "http://here"]).exit_code == 2


@pytest.fixture
def stub_command() -> list[str]:
    """What starts a server on a backbone without torch."""
    return [sys.executable, str(Path(__file__).with_name("faulty_server.py"))]
