"""Where a server listens: told at once if it cannot, and nobody waits for one that starts."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from ports import free_port
from real_server import STUB, Server, environment
from typer.testing import CliRunner

from app import listening, serving
from app.cli import cli
from app.listening import CannotListenError, bound

LOCAL = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server((LOCAL, 0)) as other:
        yield other.getsockname()[1]


def refused(host: str, port: int) -> str:
    """Return why nobody can listen there."""
    with pytest.raises(CannotListenError) as caught, bound(host, port):
        pass
    return str(caught.value)


def test_a_port_in_use_is_told_before_anything_is_loaded(
    taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: exit code 1 and what to do; no backbone is read, no folder made."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("app.main.create_app", None)
    ended = CliRunner().invoke(cli, ["serve", "--port", str(taken)])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"gatewatch: port {taken} is in use: stop what uses it, or choose another with --port "
        "(GATEWATCH_PORT)\n"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.0.2.1", "192.0.2.1 is no address of this machine: choose one with --host"),
        ("2001:db8::1", "2001:db8::1 is no address of this machine: choose one with --host"),
        ("host.invalid", "nothing is known of host 'host.invalid'"),
        ("a..b", "nothing is known of host 'a..b'"),
        ("a\0b", "nothing is known of host"),
    ],
)
def test_a_host_elsewhere_is_told(host: str, said: str) -> None:
    words = refused(host, 0)
    assert words.startswith(said)
    assert "--host (GATEWATCH_HOST)" in words


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EACCES, "port 80 is not for this user: choose one above 1023"), (errno.ENOBUFS, "80")],
)
def test_what_the_system_refuses_is_told(number: int, said: str) -> None:
    """Contract: whatever it says; what is not known better, in its own words."""
    words = str(listening.refusal(OSError(number, os.strerror(number)), LOCAL, 80))
    assert said in words
    assert "--port (GATEWATCH_PORT)" in words


def test_a_name_stands_for_all_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: but for those that this machine has not; all are bound, TCP, and told apart."""
    own, strange = (
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (h, 0)) for h in (LOCAL, "192.0.2.1")
    )
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [strange, own, own])
    with bound("here", 0) as sockets:
        assert [each.getsockname()[0] for each in sockets] == [LOCAL]
    assert sockets[0].fileno() == -1


def test_what_was_bound_is_let_go_when_the_rest_cannot_be(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOCAL, each)) for each in (port, taken)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert "in use" in refused("here", 0)
    with socket.socket() as other:
        other.bind((LOCAL, port))


def test_sockets_are_such_as_a_server_wants() -> None:
    """Contract: nobody gets in before it serves; a restart needs no wait."""
    with bound("", 0) as sockets:
        families = {each.family for each in sockets}
        assert socket.AF_INET in families
        assert families <= {socket.AF_INET, socket.AF_INET6}
        for each in sockets:
            assert each.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            assert not each.get_inheritable()  # else a child would hold the port
            # Of others asyncio does not know that they are TCP, and leaves Nagle's wait in place.
            assert each.proto == socket.IPPROTO_TCP
        port = next(each for each in sockets if each.family == socket.AF_INET).getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOCAL, port), 5)


class Noted:
    """An application that knows whether it was started and stopped."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.app = FastAPI(lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> Any:
        self.seen.append("started")
        yield
        self.seen.append("stopped")


@pytest.mark.parametrize("loop", ["asyncio", "auto"])
def test_who_listens_meanwhile_is_told(monkeypatch: pytest.MonkeyPatch, loop: Any) -> None:
    """Contract: bound twice, it may be listened on once; the other ends in good order, failed."""
    noted, said = Noted(), list[str]()
    monkeypatch.setattr(serving.log, "error", lambda text, *words: said.append(text % words))
    with bound(LOCAL, 0) as sockets:
        port = sockets[0].getsockname()[1]
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((LOCAL, port))
            other.listen()
            config = uvicorn.Config(noted.app, host=LOCAL, port=port, loop=loop, log_config=None)
            server = serving.Server(config, None, 1.0)  # type: ignore[arg-type]
            server.run(sockets=sockets)
    assert server.failed
    assert noted.seen == ["started", "stopped"]
    assert said == [
        f"port {port} is in use: stop what uses it, or choose another with --port (GATEWATCH_PORT)"
    ]


@pytest.mark.parametrize("host", [LOCAL, "::1", "localhost"])
def test_a_server_says_where_it_is_and_can_start_again(host: str, tmp_path: Path) -> None:
    """Contract: one line, by its address; where somebody was connected, too."""
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    settings = {"GATEWATCH_LOG_LEVEL": "info"}
    where = f"[{host}]" if ":" in host else host
    server = Server(tmp_path / "data", settings, STUB, where)
    settings["GATEWATCH_HOST"] = host
    for _ in range(2):
        with server.serving():
            assert server.end(signal.SIGTERM) == -signal.SIGTERM
    said = [line for line in server.log.read_text().splitlines() if "running on" in line]
    shown = {LOCAL: LOCAL, "::1": "[::1]", "localhost": ""}[host]
    assert len(said) == 2
    assert all(f"Uvicorn running on http://{shown}" in line for line in said)
    assert all(f":{server.port} (Press" in line for line in said)


def _has_ipv6() -> bool:
    try:
        with bound("::1", 0):
            return True
    except CannotListenError:
        return False


@pytest.mark.filterwarnings("error")
def test_the_command_ends_soon(taken: int, tmp_path: Path) -> None:
    """Contract: as a process: one line, and nothing of what it had begun."""
    began_s = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", "serve", "--port", str(taken)],
        env=environment(GATEWATCH_DATA_DIR=str(tmp_path / "data"), GATEWATCH_ENGINE="onnx"),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert time.monotonic() - began_s < 120
