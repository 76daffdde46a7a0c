"""What the command line does around the server: a lost device ends the process with an error."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from typer.testing import CliRunner

from app import serving
from app.cli import cli
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
    ended = CliRunner().invoke(cli, ["serve"])
    assert ended.exit_code == int(lost), ended.output
    assert len(apps) == 1
