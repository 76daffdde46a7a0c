"""The data directory: made where it can be, and else refused in the setting's name."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import cli
from app.errors import StorageError
from app.storage.data_dir import require_data_dir

ADVICE = "give a folder that this user may write"


@pytest.fixture
def a_file(tmp_path: Path) -> Path:
    """A file, where a folder ought to be."""
    path = tmp_path / "notes.txt"
    path.touch()
    return path


def test_it_is_made(tmp_path: Path) -> None:
    """Contract: with all above it; a second time it is there."""
    for _ in range(2):
        require_data_dir(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_what_is_no_folder_is_refused(a_file: Path) -> None:
    """Contract: the variable, its value, why, and what to do."""
    for path, why in (
        (a_file, "it is a file"),
        (a_file / "below", "it cannot be made (Not a directory)"),
        (Path("/proc/nope"), "it cannot be made (No such file or directory)"),
        (Path("a\0b"), "it cannot be made (embedded null byte)"),
    ):
        with pytest.raises(StorageError) as caught:
            require_data_dir(path)
        assert str(caught.value) == f"GATEWATCH_DATA_DIR={path}: {why}: {ADVICE}"


def test_a_folder_of_others_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: at once, and not when something is to be written."""
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path or not mode & os.W_OK)
    with pytest.raises(StorageError, match=f"{tmp_path}: it cannot be written: {ADVICE}"):
        require_data_dir(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--port", "0"],
        ["detectors"],
        ["keys", "list"],
        ["score", "x", "FOLDER"],
        ["fit", "x", "FOLDER"],
        ["fit", "x", "FOLDER", "--seed", "1"],
    ],
    ids=" ".join,
)
def test_commands_refuse_it_before_any_work(
    arguments: list[str], a_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: exit code 1, one line; no backbone is loaded for it."""
    monkeypatch.chdir(a_file.parent)
    Path("FOLDER").mkdir()
    Path("FOLDER/a.png").touch()
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(a_file))
    monkeypatch.setattr("app.main.Embedder.load", None)
    ended = CliRunner().invoke(cli, arguments)
    assert ended.exit_code == 1, ended.output
    assert ended.stderr == f"gatewatch: GATEWATCH_DATA_DIR={a_file}: it is a file: {ADVICE}\n"
