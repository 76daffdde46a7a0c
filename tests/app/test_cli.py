"""The command line on folders, alone and beside a running server."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from http_helpers import Pixels, calibrated, create, encode, result, running, strict, upload
from typer.testing import CliRunner, Result

from app import __version__
from app.cli import cli
from app.storage.version_reader import FRESH_S
from detector.embedder import Embedder

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, texture: list[Pixels]) -> Path:
    """Folders of images: train, more, held-out, test, bad, empty."""
    root = tmp_path_factory.mktemp("folders")
    parts = {"train": (0, 20), "more": (20, 30), "held-out": (30, 50), "test/deeper": (50, 55)}
    for name, (start, stop) in parts.items():
        (root / name).mkdir(parents=True)
        for index in range(start, stop):
            (root / name / f"{index}.png").write_bytes(encode(texture[index]))
    (root / "test" / "odd.BMP").write_bytes(encode(255 - texture[60], "BMP"))
    (root / "test" / "notes.txt").write_text("no image")
    (root / "bad").mkdir()
    (root / "bad" / "broken.png").write_bytes(b"no image")
    (root / "empty").mkdir()
    (root / "empty" / "notes.txt").write_text("no image")
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
        assert ended.exception is None or isinstance(ended.exception, SystemExit)
        assert "Traceback" not in ended.output
        return ended

    return run


def learn(run: Run, name: str) -> None:
    run("fit", name, "train", "--image-size", "64", "--scorer", "prototype")
    run("calibrate", name, "held-out")


def test_fit_calibrate_score(run: Run) -> None:
    """Contract: each step says what it did and what comes next; the odd one out is flagged."""
    fitted = run("fit", "gravel", "train", "--image-size", "64", "--scorer", "prototype")
    assert (
        "gravel version 2 (in service): 20 image(s) fitted now, 20 fitted in all" in fitted.stdout
    )
    assert "gatewatch calibrate gravel" in fitted.stdout
    answer = run("calibrate", "gravel", "held-out", "--target", "0.1")
    assert "threshold " in answer.stdout
    assert "20 calibration images, at most 10 %" in answer.stdout
    table = run("score", "gravel", "test").stdout
    assert "gravel, version 3" in table
    lines = {line.split()[1]: line for line in table.splitlines() if "test/" in line}
    assert list(lines) == [*(f"test/deeper/{i}.png" for i in range(50, 55)), "test/odd.BMP"]
    assert "anomalous" in lines["test/odd.BMP"]
    assert any("normal" in line for line in lines.values())


def test_json_is_what_the_api_answers(run: Run, data: Path, embedder: Embedder) -> None:
    """Law: raw body, form and path give one score to 1e-6, under one shape."""
    learn(run, "gravel")
    paths = ["test/odd.BMP", "test/deeper/50.png"]
    printed = [json.loads(run("score", "gravel", path, "--json").stdout) for path in paths]
    with running(data, embedder) as client:
        for path, ours in zip(paths, printed, strict=True):
            content = Path(path).read_bytes()
            form = strict(upload(client, "gravel", "score", [content]))
            raw = result(client, "gravel", content)
            assert ours.keys() == form.keys()
            assert (ours["detector"], ours["version"]) == ("gravel", 3)
            (mine,), (theirs,) = ours["results"], form["results"]
            assert mine.keys() == theirs.keys()
            assert mine["name"] == path
            for key in ("verdict", "flagged", "threshold", "p_value", "problem"):
                assert mine[key] == theirs[key] == raw[key]
            assert mine["score"] == pytest.approx(raw["score"], rel=1e-6)
            assert theirs["score"] == pytest.approx(raw["score"], rel=1e-6)


def test_many_images_are_one_list(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Law: images, folders and the limit of one request: in order, numbered from 0."""
    learn(run, "gravel")
    whole = json.loads(run("score", "gravel", "more", "test/odd.BMP", "--json").stdout)["results"]
    monkeypatch.setenv("GATEWATCH_MAX_REQUEST_IMAGES", "3")
    parts = json.loads(run("score", "gravel", "more", "test/odd.BMP", "--json").stdout)["results"]
    assert [item["index"] for item in parts] == list(range(11))
    assert [item["name"] for item in parts] == [item["name"] for item in whole]
    assert parts[-1]["name"] == "test/odd.BMP"
    scores = [item["score"] for item in whole]
    assert [item["score"] for item in parts] == pytest.approx(scores, rel=1e-4)


def test_extend_adds_and_a_plain_fit_replaces(run: Run) -> None:
    """Contract: either way, what has a threshold serves until the new version has one, too."""
    learn(run, "gravel")
    extended = run("fit", "gravel", "more", "--extend").stdout
    assert "version 4 (not in service): 10 image(s) fitted now, 30 fitted in all" in extended
    assert "its threshold is stale" in extended
    assert "gravel, version 3" in run("score", "gravel", "test").stdout
    replaced = run("fit", "gravel", "more").stdout
    assert "version 5 (not in service): 10 image(s) fitted now, 10 fitted in all" in replaced
    assert "version 6 (in service)" in run("calibrate", "gravel", "held-out").stdout
    assert "gravel, version 6" in run("score", "gravel", "test").stdout


def test_a_running_server_sees_changes_soon_and_the_other_way_round(
    run: Run, data: Path, embedder: Embedder, texture: list[Pixels]
) -> None:
    """Contract: one data directory, two processes' worth of services."""
    pngs = [encode(pixels) for pixels in texture[:50]]
    with running(data, embedder) as client:
        learn(run, "gravel")
        shown = strict(client.get("/v1/detectors/gravel"))
        assert (shown["state"], shown["version"], shown["fitted_images"]) == ("calibrated", 3, 20)
        before = result(client, "gravel", pngs[49])
        run("fit", "gravel", "more")
        assert result(client, "gravel", pngs[49])["score"] == before["score"]
        run("calibrate", "gravel", "train")
        time.sleep(FRESH_S)  # so long a server may believe what it has read
        after = result(client, "gravel", pngs[49])
        assert after["score"] != pytest.approx(before["score"], rel=1e-3)

        calibrated(client, "theirs", pngs[:40])
        (ours,) = json.loads(run("score", "theirs", "held-out/49.png", "--json").stdout)["results"]
        assert ours["score"] == pytest.approx(result(client, "theirs", pngs[49])["score"], rel=1e-6)
        client.delete("/v1/detectors/theirs")
        assert "no detector 'theirs'" in run("score", "theirs", "test", exit_code=1).stderr


def test_bad_images_are_left_out_by_name(run: Run, folders: Path) -> None:
    """Contract: on standard error, with the reason; in a score they have their own row."""
    mixed = folders / "mixed"
    mixed.mkdir()
    for index in range(3):
        (mixed / f"{index}.png").write_bytes((folders / "train" / f"{index}.png").read_bytes())
    (mixed / "a.png").write_bytes(b"")
    ended = run("fit", "mixed", "mixed", "--scorer", "prototype", "--image-size", "64")
    assert "3 image(s) fitted now" in ended.stdout
    assert "left out mixed/a.png: the image is empty (0 bytes)" in ended.stderr
    table = run("score", "mixed", "mixed").stdout
    assert "invalid: the image is empty" in table


def test_a_file_that_cannot_be_read_is_left_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: as one that is damaged; the others are fitted."""
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "7.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    ended = run("fit", "gravel", "train", "--scorer", "prototype", "--image-size", "64")
    assert "19 image(s) fitted now" in ended.stdout
    assert "left out train/7.png: the file cannot be read: Permission denied" in ended.stderr


FAILURES: list[tuple[list[str], int, str]] = [
    (["score", "nobody", "test"], 1, "no detector 'nobody'"),
    (["calibrate", "nobody", "test"], 1, "no detector 'nobody'"),
    (["fit", "x", "empty"], 1, "no image in empty; looked for .bmp"),
    (["score", "bare", "test"], 1, "not fitted"),
    (["calibrate", "bare", "test"], 1, "not fitted"),
    (["fit", "x", "bad"], 1, "none of 1 image(s) could be used"),
    (["fit", "x", "train", "--scorer", "psychic"], 1, "no scorer 'psychic'"),
    (["fit", "x", "train", "--descriptor", "vibes"], 1, "no descriptor 'vibes'"),
    (["fit", "x", "train", "--image-size", "63"], 1, "64 to 1024"),
    (["fit", "../x", "train"], 1, "the name '../x'"),
    (["fit", "", "train"], 1, "the name ''"),
    (["fit", "x", "nowhere"], 2, "does not exist"),
    (["score", "x", "nowhere"], 2, "does not exist"),
    (["score", "x"], 2, "Missing argument"),
    (["fit", "x", "train", "--image-size", "big"], 2, "Invalid value"),
    (["dance"], 2, "No such command"),
]


@pytest.mark.parametrize(("arguments", "exit_code", "message"), FAILURES)
def test_what_cannot_be_done_is_said(
    run: Run, data: Path, embedder: Embedder, arguments: list[str], exit_code: int, message: str
) -> None:
    """Contract: 1 for what the data say, 2 for what was typed; words, not a traceback."""
    with running(data, embedder) as client:
        create(client, "bare")
    assert message in " ".join(run(*arguments, exit_code=exit_code).stderr.split())


@pytest.mark.parametrize("target", ["0", "nan", "0.001"])
def test_a_target_that_cannot_be_kept_is_refused(run: Run, target: str) -> None:
    """Contract: the detector stays fitted; the message says what would do."""
    run("fit", "gravel", "train", "--image-size", "64", "--scorer", "prototype")
    ended = run("calibrate", "gravel", "held-out", "--target", target, exit_code=1)
    expected = {"0": "between 0 and 1", "nan": "finite number", "0.001": "999 calibration images"}
    assert expected[target] in ended.stderr
    assert "uncalibrated" in run("score", "gravel", "test").stdout


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("GATEWATCH_MAX_BACTH", "4", "unknown setting(s) GATEWATCH_MAX_BACTH"),
        ("gatewatch_prot", "1", "unknown setting(s) gatewatch_prot"),
        ("GATEWATCH_PORT", "70000", "GATEWATCH_PORT: must be less than"),
        ("GATEWATCH_MAX_BATCH", "0", "GATEWATCH_MAX_BATCH: must be"),
        ("GATEWATCH_QUEUE_IMAGES", "10", "_IMAGES: must be at least GATEWATCH_MAX"),
        ("GATEWATCH_DEVICE", "abacus", "GATEWATCH_DEVICE: must be 'auto'"),
    ],
)
@pytest.mark.parametrize("command", ["serve", "fit"])
def test_a_bad_environment_is_refused_before_any_work(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: str, variable: str, value: str, message: str
) -> None:
    """Contract: exit code 2 and what is wrong; a misspelt setting is never ignored."""
    monkeypatch.setenv(variable, value)
    arguments: list[Any] = [] if command == "serve" else ["x", "train"]
    assert message in run(command, *arguments, exit_code=2).stderr


def test_a_data_directory_that_is_a_file_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, folders: Path
) -> None:
    """Contract: exit code 1 and which file, on every command that needs it."""
    monkeypatch.setenv("GATEWATCH_DATA_DIR", str(folders / "empty" / "notes.txt"))
    for arguments in (["serve", "--port", "0"], ["fit", "x", "train"], ["score", "x", "test"]):
        assert "notes.txt" in run(*arguments, exit_code=1).stderr


def test_the_version_is_printed(run: Run) -> None:
    """Contract: the distribution's version."""
    assert run("version").stdout.strip() == __version__
