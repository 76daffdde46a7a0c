"""What the tests of the benchmark share: small sets of images in the layouts it knows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from app.cli import cli
from detector.embedder import Embedder

Pixels = NDArray[np.uint8]
SIDE_PX = 96
Run = Callable[..., Result]


def write(picture: Pixels, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def make_set(root: Path, texture: list[Pixels], train: int = 12, test: int = 5) -> Path:
    """Write a defect set: gravel, and gravel with a bright square and its mask."""
    crops = [image[:SIDE_PX, :SIDE_PX] for image in texture]
    for index in range(train):
        write(crops[index], root / "train" / "good" / f"{index:03}.png")
    for index in range(test):
        write(crops[40 + index], root / "test" / "good" / f"{index:03}.png")
        odd, mask = np.array(crops[50 + index]), np.zeros((SIDE_PX, SIDE_PX), dtype=np.uint8)
        odd[16:48, 32:64], mask[16:48, 32:64] = (250, 220, 10), 255
        write(odd, root / "test" / "square" / f"{index:03}.png")
        write(mask, root / "ground_truth" / "square" / f"{index:03}_mask.png")
    return root


@pytest.fixture(scope="session")
def defect_set(tmp_path_factory: pytest.TempPathFactory, texture: list[Pixels]) -> Path:
    """A set with masks, 12 images to fit, 5 good and 5 defective to score; read only."""
    return make_set(tmp_path_factory.mktemp("sets") / "gravel", texture)


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory, texture: list[Pixels]) -> Path:
    """Three classes of images, gravel in three tints; a fourth only to be scored; read only."""
    root = tmp_path_factory.mktemp("classes") / "tints"
    tints = {"blue": (0, 0, 90), "green": (0, 90, 0), "red": (90, 0, 0), "white": (90, 90, 90)}
    for start, (name, tint) in enumerate(tints.items()):
        for index in range(9):
            crop = texture[9 * start + index][:SIDE_PX, :SIDE_PX] // 2 + np.array(tint, np.uint8)
            part = "train" if index < 6 else "test"
            if name != "white" or part == "test":
                write(crop, root / part / name / f"{index}.png")
    write(texture[0], root / "validation" / "red" / "0.png")
    return root


@pytest.fixture
def bench(embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``gatewatch bench`` with the real backbone, which is loaded only once."""
    monkeypatch.setenv("GATEWATCH_DEVICE", "cpu")
    monkeypatch.setattr("app.bench.heats.Embedder.load", lambda *_, **__: embedder)

    def bench(*arguments: object, exit_code: int = 0) -> Result:
        ended = CliRunner().invoke(cli, ["bench", *map(str, arguments)], terminal_width=200)
        assert ended.exit_code == exit_code, ended.output
        assert ended.exception is None or isinstance(ended.exception, SystemExit)
        assert "Traceback" not in ended.output
        return ended

    return bench
