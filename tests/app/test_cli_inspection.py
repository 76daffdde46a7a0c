"""Maps, masks and options on the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from http_helpers import Pixels, encode, info, running, send
from PIL import Image
from typer.testing import CliRunner, Result

from app.cli import cli
from detector.embedder import Embedder

Run = Callable[..., Result]
LEFT = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, texture: list[Pixels]) -> Path:
    """Normal images to fit and to hold out, an odd one, masks."""
    root = tmp_path_factory.mktemp("pictures")
    for name, (start, stop) in {"train": (0, 20), "held-out": (20, 40)}.items():
        (root / name).mkdir()
        for index in range(start, stop):
            (root / name / f"{index}.png").write_bytes(encode(texture[index]))
    odd = texture[60].copy()
    odd[16:64, 80:120] = (250, 220, 10)
    (root / "odd.png").write_bytes(encode(odd))
    (root / "broken.png").write_bytes(b"no image")
    (root / "left.json").write_text(json.dumps(LEFT))
    mask = np.zeros((64, 64), np.uint8)
    mask[:, :32] = 255
    (root / "left.png").write_bytes(encode(mask))
    (root / "black.png").write_bytes(encode(mask * 0))
    return root


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of the command line and of a server beside it."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GATEWATCH_DEVICE", "cpu")
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, folders: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command line among the folders; the backbone, real, is loaded only once."""
    monkeypatch.chdir(folders)
    monkeypatch.setattr("app.main.Embedder.load", lambda *_, **__: embedder)

    def run(*arguments: str, exit_code: int = 0) -> Result:
        ended = CliRunner().invoke(cli, arguments, terminal_width=200)
        assert ended.exit_code == exit_code, ended.output
        assert "Traceback" not in ended.output
        return ended

    return run


def learn(run: Run, name: str, *more: str, mask: tuple[str, ...] = ()) -> None:
    run("fit", name, "train", "--image-size", "64", *more, *mask)
    run("calibrate", name, "held-out", *mask)


def score(run: Run, name: str, *more: str) -> float:
    (result,) = json.loads(run("score", name, "odd.png", "--json", *more).stdout)["results"]
    return float(result["score"])


def test_a_map_is_what_the_api_answers(
    run: Run, data: Path, embedder: Embedder, tmp_path: Path
) -> None:
    """Law: picture and values are those of POST /map; the verdict is said."""
    learn(run, "gravel")
    png, npy = tmp_path / "map.PNG", tmp_path / "map.npy"
    said = " ".join(run("map", "gravel", "odd.png", "--out", str(png)).stdout.split())
    assert "odd.png: anomalous, score " in said
    assert "map.PNG" in said
    run("map", "gravel", "odd.png", "--out", str(npy))
    with running(data, embedder) as client:
        content = Path("odd.png").read_bytes()
        theirs = send(client, "gravel", content, verb="map").content
        assert info(client, "gravel")["version"] == 3
    assert png.read_bytes() == theirs
    with Image.open(png) as picture:
        assert picture.size == (128, 128)
    values = np.load(npy)
    assert (values.dtype, values.shape) == (np.float32, (128, 128))


def test_what_has_no_map_is_said(run: Run, tmp_path: Path) -> None:
    """Contract: 1 for what the data say, 2 for what was typed; and no file."""
    run("fit", "whole", "train", "--image-size", "64", "--scorer", "prototype")
    run("fit", "fitted", "train", "--image-size", "64")
    out = tmp_path / "map.png"

    def refusal(name: str, image: str, path: Path, exit_code: int) -> str:
        ended = run("map", name, image, "--out", str(path), exit_code=exit_code)
        assert not path.exists()
        return " ".join(ended.stderr.split())

    assert "has no map" in refusal("whole", "odd.png", out, 1)
    assert "format=npy" in refusal("fitted", "odd.png", out, 1)
    assert "no detector 'nobody'" in refusal("nobody", "odd.png", out, 1)
    assert "not an image" in refusal("fitted", "broken.png", out, 1)
    assert ".png or .npy" in refusal("fitted", "odd.png", tmp_path / "map.jpg", 2)
    assert "No such file" in refusal("fitted", "odd.png", tmp_path / "no" / "map.npy", 1)
    assert "does not exist" in refusal("fitted", "nowhere.png", out, 2)
    assert "is a directory" in refusal("fitted", "train", out, 2)
    run("map", "fitted", "odd.png", "--out", str(tmp_path / "map.npy"))


@pytest.mark.parametrize("roi", ["left.json", "left.png"])
def test_a_region_of_interest_is_fixed_at_the_first_fit(run: Run, roi: str) -> None:
    """Law: what lies outside of it, here what is odd, has no influence on the score."""
    learn(run, "plain")
    learn(run, "half", "--roi", roi)
    results = [
        json.loads(run("score", name, "odd.png", "--json").stdout)["results"][0]
        for name in ("plain", "half")
    ]
    assert [result["flagged"] for result in results] == [True, False]
    with_mask = run("score", "half", "odd.png", "--mask", "left.json", exit_code=1)
    assert "send no mask" in with_mask.stderr


def test_a_mask_may_come_with_every_command(run: Run, tmp_path: Path) -> None:
    """Law: the same mask sent each time is a region of interest set once."""
    learn(run, "half", "--roi", "left.json")
    learn(run, "asking", mask=("--mask", "left.json"))
    ours = score(run, "asking", "--mask", "left.json")
    assert ours == pytest.approx(score(run, "half"), rel=1e-5)
    for arguments in (["fit", "asking", "train"], ["score", "asking", "odd.png"]):
        assert "send a mask" in run(*arguments, exit_code=1).stderr
    out = tmp_path / "map.npy"
    run("map", "asking", "odd.png", "--mask", "left.png", "--out", str(out))
    assert np.isnan(np.load(out)[:, 80:]).all()


def test_options_are_those_of_the_api(run: Run, data: Path, embedder: Embedder) -> None:
    """Contract: KEY=VALUE, several; blocks by plus; kept with the detector."""
    given = ["flips=true", "memory=50", "normalise=l2", "blocks=blocks.2+blocks.7", "evidence=0"]
    learn(run, "gravel", *(word for option in given for word in ("--option", option)))
    with running(data, embedder) as client:
        shown = info(client, "gravel")
    assert shown["fitted_images"] == 20
    assert shown["options"] == {
        "normalise": "l2",
        "blocks": ["blocks.2", "blocks.7"],
        "covariance": "full",
        "aligned": True,
        "memory": 50,
        "flips": True,
        "evidence": 0,
    }


BAD: list[tuple[list[str], str]] = [
    (["--option", "flips"], "KEY=VALUE"),
    (["--option", "flips=true", "--option", "flips=false"], "each key once"),
    (["--option", "speed=high"], "speed"),
    (["--option", "memory=much"], "memory"),
    (["--option", "memory=-1"], "memory"),
    (["--option", "normalise=l1"], "normalise"),
    (["--option", "blocks=blocks.99"], "no block(s) 'blocks.99'"),
    (["--roi", "black.png"], "leaves nothing"),
    (["--roi", "broken.png"], "not an image"),
    (["--roi", "nowhere.png"], "No such file"),
    (["--mask", "nowhere.png"], "No such file"),
    (["--roi", "train"], "Is a directory"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_a_detector_that_cannot_be_is_not_created(
    run: Run, arguments: list[str], message: str
) -> None:
    """Contract: exit code 1 and what is wrong; the name stays free."""
    ended = run("fit", "x", "train", *arguments, exit_code=1)
    assert message in " ".join(ended.stderr.split())
    assert "no detector 'x'" in run("score", "x", "odd.png", exit_code=1).stderr


def test_what_is_for_new_detectors_is_refused_for_known_ones(run: Run) -> None:
    """Contract: nothing that was asked for is ignored in silence."""
    run("fit", "known", "train", "--image-size", "64")
    for more in (["--scorer", "regional"], ["--roi", "left.json"], ["--option", "flips=true"]):
        assert (
            "can only be given to a new one"
            in run("fit", "known", "train", *more, exit_code=1).stderr
        )
    assert (
        "choose"
        in run(
            "fit", "both", "train", "--roi", "left.json", "--mask", "left.json", exit_code=1
        ).stderr
    )
