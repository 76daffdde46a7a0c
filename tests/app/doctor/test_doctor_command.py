"""``gatewatch doctor`` from end to end, briefly: the real network, torch only, a real loopback."""

import contextlib
import gc
import itertools
import json
import socket
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.doctor import engines, examination, loopback, others, pictures
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
    monkeypatch.setattr(loopback, "LOAD_S", 2.0)
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
    assert list(found["others"]) == ["torch", "onnx", "decode", "judge", "http", "load"]

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


@pytest.mark.usefixtures("_brief")
def test_engines_are_measured_in_the_settings_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: who serves in bfloat16 is told of bfloat16; what has it not is not available."""
    in_halves = Settings(precision="bfloat16", device="cpu")

    assert engines.load("torch", 1, in_halves, tmp_path).precision == "bfloat16"
    points, missing = examination._engines(in_halves, tmp_path, _jpeg(), 1, lambda _: None)
    assert {point.engine for point in points} == {"torch"}
    assert "computes in float32" in missing["onnx"]


def test_http_is_measured_on_a_detector_that_is_known(
    tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: as in real traffic, ``recent`` knows the detector; another answer is no measurement."""
    monkeypatch.setattr(loopback, "HTTP_REQUESTS", 20)
    found: list[bool] = []
    with loopback.running(Settings(data_dir=tmp_path, port=0), embedder) as served:
        versions = served.service.storage.versions
        recent = versions.recent

        def seen(*what: Any) -> Any:
            found.append((stored := recent(*what)) is not None)
            return stored

        monkeypatch.setattr(versions, "recent", seen)
        assert served.http_s(_jpeg()) > 0
        served.service.catalogue.delete(loopback.UNFITTED, loopback.BY)
        with pytest.raises(OSError, match=r"answered \[404\], not 409"):
            served.http_s(_jpeg())
    assert found.count(True) >= 10


@pytest.mark.usefixtures("_brief")
@pytest.mark.parametrize("as_json", [True, False])
def test_a_busy_machine_is_told_first(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: above all figures; with JSON on the other stream; in what is written, too."""
    busy_s = itertools.count(step=1000.0)
    monkeypatch.setattr(others, "used", lambda _cores: others.Used(next(busy_s), 0.0))
    file = tmp_path / "settings.env"
    arguments = ["doctor", "--write", str(file), *(["--json"] if as_json else [])]
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 0, ended.output
    told, other = (ended.stderr, ended.stdout) if as_json else (ended.stdout, ended.stderr)
    assert "gatewatch: not to be trusted" in told
    assert "not to be trusted" not in other
    assert as_json or told.startswith("gatewatch: not to be trusted")
    assert "# not to be trusted" in file.read_text()


def test_no_request_waits_for_acknowledgements(tmp_path: Path, embedder: Embedder) -> None:
    """Contract: the service sends what it has, however small: else an answer takes 40 ms more."""
    with (
        loopback.running(Settings(data_dir=tmp_path, port=0), embedder) as served,
        contextlib.closing(served._connect()) as connection,
    ):
        served._ask(connection, loopback.UNFITTED, _jpeg())
        ours = connection.sock.getsockname()
        (theirs,) = (each for each in gc.get_objects() if _peer(each) == ours)
        assert theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_refused_client_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: it asks again after a while, not at once."""
    pauses: list[float] = []
    passing = partial(next, itertools.count())  # a second, whenever somebody looks
    clock = SimpleNamespace(perf_counter=passing, sleep=pauses.append)
    monkeypatch.setattr(loopback, "time", clock)
    monkeypatch.setattr(loopback.Loopback, "_ask", lambda *_: 503)
    with pytest.raises(OSError, match="answered no request"):
        loopback.Loopback(None, None, 1).load(b"", 1)  # type: ignore[arg-type]
    assert pauses
    assert set(pauses) == {loopback.REFUSED_PAUSE_S}


def _peer(what: object) -> Any:
    """Return the other end of what may be a connection."""
    if type(what) is socket.socket:
        with contextlib.suppress(OSError):
            return what.getpeername()
    return None


def _jpeg() -> bytes:
    return next(iter(pictures.kinds().values()))
