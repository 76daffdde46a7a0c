"""What the command line does around the server: a lost device ends the process."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from app.cli import cli
from app.scoring.batching import Batcher
from detector.embedder import Embedder


def test_a_lost_device_ends_the_server(
    tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: it gets the signal on which it stops in good order, and only then."""
    signals: list[tuple[int, int]] = []
    batchers: list[Batcher] = []

    def serves(app: FastAPI, **_options: Any) -> None:
        batchers.append(app.state.service.ingest.batcher)

    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: embedder)
    monkeypatch.setattr("app.cli.uvicorn.run", serves)
    monkeypatch.setattr("os.kill", lambda *which: signals.append(which))
    ended = CliRunner().invoke(cli, ["serve"])
    assert ended.exit_code == 0, ended.output
    assert not signals
    batchers[0].on_fatal()
    assert signals == [(os.getpid(), signal.SIGTERM)]
