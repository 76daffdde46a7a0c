"""The command that trains the gates, from a folder of photographs to the files it writes."""

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from models.checkpoints import load_gates
from models.gate_training import GateTrainer, is_held_out
from models.se_lite0 import se_lite0
from models.train_gates import main

Crops = Callable[[int, int], NDArray[np.uint8]]


@pytest.fixture
def pool(crops: Crops, tmp_path: Path) -> Path:
    """Forty crops of photographs in two folders, some of them held out."""
    folder = tmp_path / "pool"
    for index, image in enumerate(crops(40, 64)):
        path = folder / ("even" if index % 2 == 0 else "odd") / f"crop{index}.PNG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (folder / "notes.txt").write_text("not a photograph")
    return folder


def arguments(pool: Path, run: Path, *more: str) -> list[str]:
    options = {"--run": run, "--out": run / "gates.safetensors", "--side": 48, "--batch": 12}
    words = [str(word) for option in options.items() for word in option]
    return [str(pool), *words, "--epochs", "1", "--every", "2", *more]


def rows(run: Path) -> list[list[str]]:
    with (run / "log.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_command_writes_gates_digest_log_and_report(
    pool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Contract: the four files agree with one another and the gates load into the network."""
    held_out = sum(is_held_out(file) for file in pool.rglob("*.PNG"))
    run = tmp_path / "run"

    main(arguments(pool, run))

    report = json.loads((run / "report.json").read_text())
    assert report["images"] == 40 - held_out
    assert report["held_out_images"] == held_out > 0
    assert report["side_px"] == 48
    assert len(report["error_ratio_per_block"]) == 16
    assert report["error_ratio"] == pytest.approx(
        np.mean(report["error_ratio_per_block"]), abs=1e-4
    )
    assert 0.3 < report["error_ratio"] < 3
    assert [row[0] for row in rows(run)] == ["2", "3"]
    assert all(0.3 < float(row[1]) < 3 for row in rows(run))
    gates = run / "gates.safetensors"
    digest = hashlib.sha256(gates.read_bytes()).hexdigest()
    assert (run / "gates.sha256").read_text() == f"{digest}  gates.safetensors\n"
    assert digest in capsys.readouterr().out
    with safe_open(gates, "pt") as content:
        assert json.loads(content.metadata()["training"]) == report
    network = se_lite0(trained=False)
    load_gates(network, gates)
    assert network.state_dict()["blocks.0.gate.excite.expand.weight"].abs().max() > 0


class StoppedError(Exception):
    """Stands for the end of the process."""


def test_interrupted_command_goes_on_to_the_same_gates(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: run again after an interruption, the command writes the gates of an unbroken run."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    main(arguments(pool, whole))
    train_step = GateTrainer.train_step

    def fail_at_the_end(trainer: GateTrainer, pair: tuple[torch.Tensor, torch.Tensor]) -> float:
        if trainer.step == 2:
            raise StoppedError
        return train_step(trainer, pair)

    monkeypatch.setattr(GateTrainer, "train_step", fail_at_the_end)
    with pytest.raises(StoppedError):
        main(arguments(pool, broken))
    monkeypatch.undo()
    assert not (broken / "gates.safetensors").exists()
    main(arguments(pool, broken))

    for name in ("gates.safetensors", "report.json", "log.csv"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name


def test_finished_command_changes_nothing(pool: Path, tmp_path: Path) -> None:
    """Law: run once more after its end, the command trains no further."""
    run = tmp_path / "run"
    main(arguments(pool, run))
    before = {file.name: file.read_bytes() for file in run.iterdir()}

    main(arguments(pool, run))

    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_log_is_on_disk_while_training_goes_on(
    pool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contract: a row is in the file once its checkpoint is, so a killed run keeps its log."""
    run = tmp_path / "run"
    save, seen = GateTrainer.save, []

    def save_and_look(trainer: GateTrainer, path: Path) -> None:
        save(trainer, path)
        seen.append([row[0] for row in rows(run)])

    monkeypatch.setattr(GateTrainer, "save", save_and_look)

    main(arguments(pool, run))

    assert seen == [["2"], ["2", "3"]]


@pytest.mark.parametrize(
    ("training", "held_out"), [(None, None), (0, 0), (12, 0), (11, 3)], ids=str
)
def test_too_small_a_folder_is_refused(
    crops: Crops, tmp_path: Path, training: int | None, held_out: int | None
) -> None:
    """Contract: absent, empty, nothing to validate on, less than a batch: all exit with a word."""
    folder, run, names = tmp_path / "photographs", tmp_path / "run", []
    if training is not None:
        folder.mkdir()
        candidates = [f"crop{index}.png" for index in range(200)]
        names += [name for name in candidates if not is_held_out(Path(name))][:training]
        names += [name for name in candidates if is_held_out(Path(name))][:held_out]
    for index, name in enumerate(names):
        Image.fromarray(crops(14, 16)[index]).save(folder / name)

    with pytest.raises(SystemExit, match=f"photographs holds {len(names)} images: too few"):
        main(arguments(folder, run))

    assert not run.exists()


def test_other_options_than_the_checkpoint_has_are_refused(pool: Path, tmp_path: Path) -> None:
    """Contract: a run goes on as it began, or says what differs."""
    main(arguments(pool, tmp_path / "run"))

    with pytest.raises(SystemExit, match=r"belongs to a run with .*another --run"):
        main(arguments(pool, tmp_path / "run", "--seed", "1"))
