"""What ``gatewatch bench`` refuses, and how it says so."""

import shutil
from pathlib import Path
from typing import Any

import pytest

Run = Any


@pytest.mark.parametrize("part", ["train/good", "test/square"])
def test_a_set_that_is_all_unreadable_is_refused(
    bench: Run, defect_set: Path, tmp_path: Path, part: str
) -> None:
    """Contract: no figure is better than one of nothing."""
    copy = shutil.copytree(defect_set, tmp_path / "copy")
    for path in (copy / part).iterdir():
        path.write_bytes(b"no image")

    ended = bench(copy, "--out", tmp_path / "out", "--size", 64, exit_code=1)

    assert "gatewatch: set copy: " in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "squeeze"], "'squeeze' is no configuration: write descriptor/scorer"),
        (["--config", "squeeze/nothing"], "no scorer 'nothing'"),
        (["--config", "nothing/gaussian"], "no descriptor 'nothing'"),
        (["--size", "8"], "image_size must be"),
        (["--compare", "others"], "there is: anomalib"),
    ],
)
def test_wrong_options_are_refused(
    bench: Run, defect_set: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    """Contract: with what there is, before anything is measured."""
    ended = bench(defect_set, "--out", tmp_path / "out", *arguments, exit_code=1)

    assert message in ended.stderr
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_and_a_set_without_defects_are_refused(
    bench: Run, defect_set: Path, tmp_path: Path
) -> None:
    """Contract: the message names the folder and the layouts."""
    copy = shutil.copytree(defect_set, tmp_path / "copy")
    shutil.rmtree(copy / "test" / "square")
    (tmp_path / "empty").mkdir()
    for folder, message in (("empty", "holds no set"), ("copy", "no anomalous images")):
        ended = bench(tmp_path / folder, "--out", tmp_path / "out", exit_code=1)
        assert folder in ended.stderr
        assert message in ended.stderr
        assert "test/<defect>" in ended.stderr


def test_anomalib_is_named_where_it_is_missing(
    bench: Run, defect_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the extra that brings it, and nothing measured before."""
    monkeypatch.setattr("app.bench.measure.peers.installed", lambda: False)
    ended = bench(defect_set, "--out", tmp_path / "out", "--compare", "anomalib", exit_code=1)

    assert "pip install 'gatewatch[compare]'" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_wrong_setting_is_refused(
    bench: Run, defect_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: the benchmark reads with the service's settings, and checks them."""
    monkeypatch.setenv("GATEWATCH_COLOUR", "red")

    ended = bench(defect_set, "--out", tmp_path / "out", exit_code=2)

    assert "unknown setting(s) GATEWATCH_COLOUR" in ended.stderr
