"""Commands run on a backbone without torch, in a folder with pictures; parts of these."""

from pathlib import Path

import pytest
from bulk_command_helpers import HELD, IMAGES, SIZE, Run
from bulk_helpers import as_folder, pictures
from stub_backbone import stub_embedder
from typer.testing import CliRunner, Result

from app.cli import cli


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command on the stub, in a folder with pictures; it ends as expected."""
    as_folder(tmp_path / "top", pictures(IMAGES))
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: stub_embedder())

    def ran(*arguments: str, exit_code: int = 0) -> Result:
        ended = CliRunner().invoke(cli, arguments, terminal_width=200)
        if not isinstance(ended.exception, SystemExit | None):
            raise ended.exception
        assert ended.exit_code == exit_code, ended.output
        return ended

    return ran


@pytest.fixture
def parts(run: Run) -> list[str]:
    """Two parts of the pictures."""
    for number in (1, 2):
        shard = ("--shard", f"{number}/2", "--out", f"{number}.part")
        run("fit", "bolts", "top", *SIZE, *HELD, *shard)
    return ["1.part", "2.part"]
