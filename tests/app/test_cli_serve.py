"""What the command line does around the server: a lost device ends the process with an error."""

import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from app import serving
from app.cli import cli
from app.commands.common import settings_of_environment
from detector.embedder import Embedder


@pytest.mark.parametrize("lost", [False, True])
def test_a_lost_device_ends_the_server(
    tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    """Contract: exit code 1 then, for whoever started it to start another; else 0."""
    apps: list[FastAPI] = []

    def runs(server: serving.Server, **_: Any) -> None:
        service = server.config.app.state.service  # type: ignore[union-attr]
        apps.append(server.config.app)  # type: ignore[arg-type]
        if lost:
            service.ingest.batcher.on_fatal()

    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: embedder)
    monkeypatch.setattr(serving.Server, "run", runs)
    monkeypatch.setattr(serving, "suit_threads", lambda: None)
    ended = CliRunner().invoke(cli, ["serve", "--port", "0"])
    assert ended.exit_code == int(lost), ended.output
    assert len(apps) == 1


STARTING = """
import asyncio, contextlib, uvicorn
from app.serving import Server

@contextlib.asynccontextmanager
async def lifespan(_app):
    print("starting", flush=True)
    await asyncio.sleep(60)
    yield

from fastapi import FastAPI
Server(uvicorn.Config(FastAPI(lifespan=lifespan), port=0, log_level="error"), None, 60.0).run()
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_that_starts(how: signal.Signals) -> None:
    """Contract: whatever it waits for, a lock or a device; noted only, it would serve first."""
    command = [sys.executable, "-c", STARTING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "starting\n"
            process.send_signal(how)
            assert process.wait(60) == -how
        finally:
            process.kill()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_log_tells_a_webhooks_address(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the HTTP client would log it, and it may be, or hold, a secret."""
    monkeypatch.setenv("GATEWATCH_LOG_LEVEL", level)
    names = ("httpx", "httpcore", "httpcore.http11")
    for name in names[:2]:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    settings_of_environment()
    assert not any(logging.getLogger(name).isEnabledFor(logging.INFO) for name in names)
