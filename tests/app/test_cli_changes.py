"""The commands that read or change a fitted detector: ``threshold``, ``export``; reasons of all."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from history_helpers import NAME, line, picture
from key_helpers import opened
from stub_backbone import stub_embedder
from typer.testing import CliRunner, Result

from app.access.credentials import invent
from app.cli import cli
from app.storage.audit import Audit

Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data directory of a service with a calibrated detector, which has ended."""
    with line(tmp_path / "data") as bolts:
        bolts.fit()
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on it."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(data))
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: stub_embedder())

    def run(*arguments: str) -> Result:
        ended = CliRunner().invoke(cli, arguments, terminal_width=200)
        assert ended.exit_code == 0, ended.output
        return ended

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of pictures."""
    (tmp_path / "pictures").mkdir()
    for seed in range(200, 206):
        (tmp_path / "pictures" / f"{seed}.bmp").write_bytes(picture(seed))
    return tmp_path / "pictures"


def changes(data: Path) -> int:
    """Return how many changes the audit knows."""
    with opened(data) as database:
        return len(Audit(database).lines(limit=1000))


def test_a_threshold_without_a_choice_is_told(run: Run, data: Path, folder: Path) -> None:
    """Contract: value, statement and whether it is stale; nothing is changed by it."""
    run("threshold", NAME, "--method", "manual", "--parameter", "value=7.25")
    before = changes(data)
    told = run("threshold", NAME).stdout
    assert f"{NAME} version 4: threshold 7.25" in told
    assert "Set by hand" in told
    assert "stale" not in told
    assert changes(data) == before


def test_a_stale_threshold_is_told_to_be(data: Path, run: Run) -> None:
    """Contract: what it promised does not hold."""
    with line(data) as bolts:
        assert bolts.verb("fit", range(50, 53), mode="extend", promote="always").status_code == 200
    assert "stale" in run("threshold", NAME).stdout


@pytest.mark.parametrize(
    "choice",
    [("--method", "conformal"), ("--target", "0.05"), ("--review-target", "0.2")],
)
def test_any_choice_draws_a_line(run: Run, data: Path, choice: tuple[str, str]) -> None:
    """Contract: the rest of it is conformal, 5 %."""
    before = changes(data)
    assert f"{NAME} version 4" in run("threshold", NAME, *choice).stdout
    assert changes(data) == before + 1


@pytest.fixture
def _umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_umask")
def test_an_export_has_the_mode_of_any_file(run: Run, tmp_path: Path) -> None:
    """Contract: the umask's, so that others may fetch it where they may; nothing is left over."""
    (tmp_path / "out").mkdir()
    run("export", NAME, "--out", str(tmp_path / "out"))
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == f"{NAME}-v3.gatewatch"
    assert made.stat().st_mode & 0o777 == 0o640


def test_a_key_in_a_reason_is_not_kept(run: Run, data: Path, folder: Path, tmp_path: Path) -> None:
    """Contract: of every command that changes something; its public part stays, to be revoked."""
    text = invent()[1]
    bundle = tmp_path / "it.gatewatch"
    reason = ("--reason", f"sent {text} by mistake")
    run("fit", NAME, str(folder), "--extend", *reason)
    run("threshold", NAME, "--target", "0.1", *reason)
    run("export", NAME, "--out", str(bundle), *reason)
    run("import", str(bundle), "--name", "twin", *reason)
    with opened(data) as database:
        lines = Audit(database).lines(limit=1000)
    assert sum(line.reason == f"sent {text[:16]}... by mistake" for line in lines) >= 4
    for path in data.rglob("*"):
        assert not path.is_file() or text[16:].encode() not in path.read_bytes()
