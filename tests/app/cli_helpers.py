"""The same command line on a data directory and against a server, and what both have printed."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from real_server import Server
from stub_backbone import stub_embedder
from typer.testing import CliRunner, Result

from app.cli import cli
from gatewatch import Client

PASSING = {"id", "image", "timings_ms", "at", "start", "first_at", "last_at", "key"}
PASSING |= {"created_at", "updated_at"}
PASSING |= {"highest_evidence_log10", "evidence_log10"}  # ties are broken by the image's id
"""Fields of answers that are another's in every run."""

BAR = re.compile("(fit|calibrate|forget|replay|power|adapt): ")


@dataclass
class Sides:
    """A data directory of the command line's own, and a server that has another one."""

    server: Server
    monkeypatch: pytest.MonkeyPatch
    embedder: Any = field(default_factory=stub_embedder)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def local(self, *arguments: str) -> Result:
        """Run a command in this process, on what is stored here."""
        with self.monkeypatch.context() as patched:
            patched.setattr("app.main.Embedder.load", lambda *_, **__: self.embedder)
            return self._run(*arguments)

    def remote(self, *arguments: str) -> Result:
        """Run it against the server; nothing is loaded here, and no data directory touched."""
        with self.monkeypatch.context() as patched:
            patched.setattr("app.main.Embedder.load", _nothing_here)
            return self._run(*arguments, "--url", self.url)

    def both(self, *arguments: str, exit_code: int = 0) -> Result:
        """Run it on both sides; they end alike and say the same. Returns what the server's said."""
        here, there = self.local(*arguments), self.remote(*arguments)
        assert here.exit_code == exit_code, here.output
        assert there.exit_code == exit_code, there.output
        assert lasting(here.stdout) == lasting(there.stdout), here.stdout + there.stdout
        assert words(here.stderr) == words(there.stderr), here.stderr + there.stderr
        return there

    def _run(self, *arguments: str) -> Result:
        ended = CliRunner().invoke(cli, arguments, terminal_width=200)
        if not isinstance(ended.exception, SystemExit | None):
            raise ended.exception
        return ended


@contextmanager
def both_sides(
    server: Server, monkeypatch: pytest.MonkeyPatch, *, data: Path, folder: Path
) -> Iterator[Sides]:
    """Give both sides, this one on ``data``, in ``folder``; the server's detectors go again."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(data))
    monkeypatch.setenv("GATEWATCH_DEVICE", "cpu")
    monkeypatch.chdir(folder)
    sides = Sides(server, monkeypatch)
    yield sides
    with Client(sides.url) as client:
        for each in client.detectors():
            client.delete(each.name)


def lasting(text: str) -> Any:
    """Return output without what is another's in every run: ids, moments, what time it took."""
    try:
        return _without(json.loads(text))
    except ValueError:
        text = re.sub(r"gw_\S+", "KEY", text)
        text = re.sub("[0-9a-f]{8,32}…?", "ID", text)
        text = re.sub(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?", "MOMENT", text)
        text = re.sub(r" \d\.\d\d ", " EVIDENCE ", text)
        return re.sub("[ ─━]+", " ", text)  # a table is as wide as its ids


def words(text: str) -> str:
    """Return what was said on standard error, but for bars, which differ in speed."""
    return "\n".join(line for line in text.splitlines() if line and not BAR.match(line))


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait for something that a server does in its own time."""
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(each) for key, each in value.items() if key not in PASSING}
    return [_without(each) for each in value] if isinstance(value, list) else value


def _nothing_here(*_: object, **__: object) -> None:
    raise AssertionError("a command that works at a server loads no network")


def folder_of(path: Path, contents: dict[str, bytes]) -> Path:
    """Write files below a folder; return it."""
    for name, content in contents.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return path
