"""The command that adapts gates: what it writes, when it writes nothing, what it refuses."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from typer.testing import CliRunner, Result

import detector.adapt
from app.cli import cli
from detector import gate_judging
from detector.embedder import Embedder
from models import adaptation

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def normals(tmp_path_factory: pytest.TempPathFactory, texture: list[NDArray[np.uint8]]) -> Path:
    """A folder of 40 normal images, one of them in a folder below, and a file that is no image."""
    folder = tmp_path_factory.mktemp("normals")
    (folder / "deeper").mkdir()
    for index in range(40):
        where = folder / "deeper" if index == 0 else folder
        Image.fromarray(texture[index]).save(where / f"{index}.png")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def run(normals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command on small images for two steps, in a folder of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWATCH_DEVICE", "cpu")
    monkeypatch.setattr(adaptation, "STEPS", 2)
    monkeypatch.setattr(adaptation, "ROUNDS", 1)

    def run(*options: object, exit_code: int = 0, folder: Path = normals) -> Result:
        words = ["adapt", str(folder), "--size", "64", *map(str, options)]
        ended = CliRunner().invoke(cli, words, terminal_width=200)
        assert ended.exit_code == exit_code, ended.output
        assert "Traceback" not in ended.output
        return ended

    return run


def decide(monkeypatch: pytest.MonkeyPatch, *, keep: bool) -> None:
    """Make everything, or nothing, count as help."""
    if keep:
        monkeypatch.setattr(detector.adapt, "verdict", lambda *_: (True, "It helped"))
    else:
        monkeypatch.setattr(gate_judging, "MARGIN", 2.0)


def report(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_gates_that_help_are_written_and_make_a_backbone(
    run: Run, monkeypatch: pytest.MonkeyPatch, embedder: Embedder
) -> None:
    """Contract: gates, digest and figures agree; with them the backbone is another one."""
    decide(monkeypatch, keep=True)

    ended = run("--out", "new/gates.safetensors")

    folder = Path("new")
    assert {p.name for p in folder.iterdir()} == {"gates.safetensors", "gates.sha256", "gates.json"}
    figures = report(folder / "gates.json")
    with safe_open(folder / "gates.safetensors", "np") as content:
        assert json.loads(content.metadata()["adaptation"]) == figures
    digest = hashlib.sha256((folder / "gates.safetensors").read_bytes()).hexdigest()
    assert (folder / "gates.sha256").read_text() == f"{digest}  gates.safetensors\n"
    assert figures["kept"] is True
    assert figures["train_images"] + figures["held_out_images"] == 40
    assert (figures["side_px"], figures["seed"]) == (64, 0)
    for moment in ("before", "after"):
        assert set(figures[moment]["auroc"]) == {"gate/gaussian", "gate_logit/gaussian", "fusion"}
        assert all(0 <= value <= 1 for value in figures[moment]["auroc"].values())
        assert figures[moment]["pattern"] > 0
    assert figures["before"] != figures["after"]
    weighted = Embedder.load("se-lite0", "cpu", weights=folder / "gates.safetensors")
    assert weighted.fingerprint == figures["fingerprint_after"]
    assert embedder.fingerprint == figures["fingerprint_before"] != weighted.fingerprint
    assert "GATEWATCH_WEIGHTS=new/gates.safetensors" in ended.output
    assert "broken.png: not an image" in ended.output


def test_gates_that_do_not_help_are_not_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: the figures say so, the exit status is that of success."""
    decide(monkeypatch, keep=False)

    ended = run("--out", "gates.safetensors")

    assert [path.name for path in Path().iterdir()] == ["gates.json"]
    assert report(Path("gates.json"))["kept"] is False
    assert "It did not help" in ended.output
    assert "No gates written" in ended.output


def test_adapting_goes_on_from_the_gates_in_use(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: the same seed gives the same gates; those of GATEWATCH_WEIGHTS are the beginning."""
    decide(monkeypatch, keep=True)
    run("--out", "one.safetensors")
    run("--out", "again.safetensors")
    assert report(Path("one.json")) == report(Path("again.json"))

    monkeypatch.setenv("GATEWATCH_WEIGHTS", "one.safetensors")
    run("--out", "two.safetensors")

    one, two = report(Path("one.json")), report(Path("two.json"))
    assert two["fingerprint_before"] == one["fingerprint_after"] != two["fingerprint_after"]
    assert two["before"] == one["after"]


def test_limit_draws_fewer_images(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: at most so many images are read, the same ones for the same seed."""
    decide(monkeypatch, keep=False)

    run("--out", "few.safetensors", "--limit", 36)

    figures = report(Path("few.json"))
    assert 35 <= figures["train_images"] + figures["held_out_images"] <= 36


def test_existing_gates_are_never_overwritten(run: Run) -> None:
    """Contract: detectors that were fitted on them would be lost."""
    Path("gates.safetensors").write_bytes(b"precious")

    ended = run("--out", "gates.safetensors", exit_code=1)

    assert "exists: choose another name" in ended.output
    assert Path("gates.safetensors").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("environment", "options", "said"),
    [
        ({}, ["--out", "gates.bin"], "must end in .safetensors"),
        ({}, ["--out", "gates.safetensors", "--limit", "20"], "add images"),
        ({"GATEWATCH_WEIGHTS": "none.safetensors"}, ["--out", "g.safetensors"], "cannot read"),
    ],
    ids=["suffix", "too few", "no such gates"],
)
def test_what_cannot_be_is_refused(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    options: list[str],
    said: str,
) -> None:
    """Contract: a word on what is wrong, exit status 1, nothing written."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert said in run(*options, exit_code=1).output
    assert not list(Path().iterdir())


def test_folder_without_images_is_refused(run: Run, tmp_path: Path) -> None:
    """Contract: the message says what was looked for."""
    (tmp_path / "empty").mkdir()

    ended = run("--out", "gates.safetensors", exit_code=1, folder=tmp_path / "empty")

    assert "no image in" in ended.output
