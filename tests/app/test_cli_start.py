"""What the command line imports before it does anything: nothing that only a service needs."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_helpers import folder_of
from http_helpers import Pixels, encode
from real_server import STUB, Server

from app.cli import cli

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "scipy.stats", "sqlalchemy", "alembic", "onnxruntime", "uvicorn", "fastapi"}
CLOSED = "http://127.0.0.1:9"
"""The port of the discard protocol, on which nobody listens."""
RUN = """
import sys
from app.cli import cli
try:
    cli(sys.argv[1:])
finally:
    print("IMPORTED", *sys.modules)
"""


def commands(group: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command and every group of them by its words."""
    yield words, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *words, name)


COMMANDS = dict(commands(typer.main.get_command(cli)))
WORK = [
    ("create bolts --option evidence=4", 0),
    ("fit bolts pictures --group-pattern ([0-9])", 0),
    ("calibrate bolts more --target 0.1", 0),
    ("score bolts pictures", 0),
    ("score bolts pictures --json", 0),
    ("map bolts pictures/0.png --out map.png", 0),
    ("threshold bolts --method quantile --target 0.2", 0),
    ("replay bolts --scorer gaussian", 0),
    ("power bolts", 0),
    ("versions bolts", 0),
    ("rollback bolts --allow-uncalibrated", 0),
    ("promote bolts 3", 0),
    ("forget bolts --group 0", 0),
    ("export bolts --out bolts.gatewatch", 0),
    ("import bolts.gatewatch --name nuts", 0),
    ("delete nuts --yes", 0),
    ("detectors", 0),
    ("cancel 0123456789abcdef0123456789abcdef", 1),
    ("adapt pictures --out gates.safetensors", 1),
    ("keys list", 0),
    ("keys revoke ann", 1),
    ("keys create ann --role admin", 0),
]
"""Commands at one server, in this order, and how they end there."""
NOBODY_THERE = {"detectors": 1, "simulate": 2}
"""Commands where no server is, and how they end."""


def run(*words: str, folder: Path, exit_code: int = 0) -> set[str]:
    """Run a command; return the modules that it has imported by its end."""
    kept = {name: value for name, value in os.environ.items() if "GATEWATCH" not in name}
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    said, _, modules = done.stdout.partition("IMPORTED")
    assert done.returncode == exit_code, said + done.stderr
    assert "app.cli" in modules.split()
    return {*modules.split()}


@pytest.fixture
def folder(texture: list[Pixels], tmp_path: Path) -> Path:
    """A folder with pictures, and more of them."""
    contents = {f"pictures/{n}.png": encode(texture[n]) for n in range(10)}
    contents |= {f"more/{n}.png": encode(texture[n]) for n in range(10, 30)}
    return folder_of(tmp_path / "here", contents)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_imports_nothing_of_the_service(words: tuple[str, ...], tmp_path: Path) -> None:
    """Contract: of every command."""
    assert not run(*words, "--help", folder=tmp_path) & HEAVY


def test_the_version_imports_nothing_of_the_service(tmp_path: Path) -> None:
    assert not run("version", folder=tmp_path) & HEAVY


def test_keys_of_this_machine_need_its_database_alone(tmp_path: Path) -> None:
    modules = run("keys", "list", folder=tmp_path)
    assert modules & HEAVY == {"sqlalchemy", "alembic"}


@pytest.mark.parametrize("words", NOBODY_THERE)
def test_a_server_that_is_not_there_is_told_at_once(words: str, tmp_path: Path) -> None:
    exit_code = NOBODY_THERE[words]
    assert not run(words, "--url", CLOSED, folder=tmp_path, exit_code=exit_code) & HEAVY


def test_every_command_that_takes_an_address_is_tried() -> None:
    """Contract: here or by the next test, which would pass without any."""
    taking = [
        " ".join(words)
        for words, command in COMMANDS.items()
        if any(option.name == "url" for option in command.params)
    ]
    tried = [*NOBODY_THERE, *(words for words, _ in WORK)]
    assert len(taking) > 20
    for words in taking:
        assert any(f"{asked} ".startswith(f"{words} ") for asked in tried), words


@pytest.mark.slow
def test_work_at_a_server_imports_nothing_of_the_service(folder: Path, tmp_path: Path) -> None:
    """Contract: whatever is sent, waited for and printed."""
    with Server(tmp_path / "data", command=STUB).serving() as server:
        url = f"http://127.0.0.1:{server.port}"
        for words, exit_code in WORK:
            modules = run(*words.split(), "--url", url, folder=folder, exit_code=exit_code)
            assert not modules & HEAVY, words
