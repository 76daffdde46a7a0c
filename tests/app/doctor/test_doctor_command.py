"""``gatewatch doctor`` from end to end, briefly: the real network, torch only, a real loopback."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.doctor import engines, examination, loopback
from app.settings import Settings, check_environment
from detector.embedder import Embedder


@pytest.fixture
def _brief(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Measure each thing once, in an empty folder; onnx is as on a machine that cannot run it."""
    monkeypatch.setattr(engines, "ENGINES", ("torch", "onnx"))
    monkeypatch.setattr(Embedder, "warm", lambda *_, **__: False)
    monkeypatch.setattr(engines, "BATCHES", (1, 2))
    monkeypatch.setattr(engines, "SCANNED_BATCH", 2)
    monkeypatch.setattr(engines, "POINT_S", 0.0)
    monkeypatch.setattr(engines, "layouts", lambda _cores: [1])
    monkeypatch.setattr(examination, "CALL_S", 0.0)
    monkeypatch.setattr(examination, "FITTED", 8)
    monkeypatch.setattr(loopback, "LOAD_S", 0.5)
    monkeypatch.setattr(loopback, "HTTP_REQUESTS", 5)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_brief")
def test_the_doctor_measures_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: needs no data directory and makes none; the file it writes makes settings."""
    file = tmp_path / "settings.env"
    ended = CliRunner().invoke(cli, ["doctor", "--json", "--write", str(file)])
    assert ended.exit_code == 0, ended.output
    assert [path.name for path in tmp_path.iterdir()] == ["settings.env"]
    found = json.loads(ended.stdout)
    assert [(p["engine"], p["batch"]) for p in found["points"]] == [("torch", 2), ("torch", 1)]
    assert all(point["images_per_s"] > 0 for point in found["points"])
    assert list(found["missing"]) == ["onnx"]
    assert list(found["costs"]) == ["JPEG, 0.2 MP", "JPEG, 2 MP", "PNG, 0.2 MP"]
    for costs in found["costs"].values():
        assert min(costs.values()) > 0
    assert found["load"]["images_per_s"] > 0

    written = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    variables = dict(line.split("=") for line in written)
    assert variables == {item["variable"]: item["value"] for item in found["advice"]}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check_environment()
    assert Settings().engine == "torch"


@pytest.mark.usefixtures("_brief")
def test_a_machine_without_any_engine_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the program ends with the reason of each engine."""
    monkeypatch.setenv("GATEWATCH_BACKBONE", "no-such-network")
    ended = CliRunner().invoke(cli, ["doctor"])
    assert ended.exit_code == 1
    assert "no backbone 'no-such-network'" in ended.output
