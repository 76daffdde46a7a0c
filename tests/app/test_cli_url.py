"""Every command against a server, beside the same on a data directory: one output, one code."""

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import Sides, both_sides, folder_of, until
from history_helpers import picture
from http_helpers import encode
from ports import free_port
from real_server import Server, environment
from typer.testing import CliRunner

from app.cli import cli
from gatewatch import Client

NAME = "bolts"
LEFT = b"[[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of images: train, more, held-out, odd, today, bad; polygons of a mask."""
    contents = {f"train/lot-{n % 2}/{n}.bmp": picture(n) for n in range(40)}
    contents |= {f"more/{n}.bmp": picture(200 + n) for n in range(5)}
    contents |= {f"held-out/{n}.bmp": picture(1000 + n) for n in range(39)}
    contents |= {f"odd/{n}.bmp": picture(2000 + n, odd=90) for n in range(3)}
    contents |= {f"today/{n}.bmp": picture(3000 + n, odd=90 * (n == 2)) for n in range(4)}
    contents |= {'today/an "odd" ö.bmp': picture(3100), "today/broken.png": b"no image"}
    contents |= {"bad/broken.png": b"no image", "train/broken.png": b""}
    contents["left.json"] = LEFT
    return folder_of(tmp_path_factory.mktemp("folders"), contents)


@pytest.fixture
def sides(
    stub_server: Server, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sides]:
    """Both sides, without detectors, among the folders."""
    with both_sides(stub_server, monkeypatch, data=tmp_path / "data", folder=folders) as sides:
        yield sides


def learn(sides: Sides) -> None:
    """Fit and calibrate on both sides."""
    sides.both("fit", NAME, "train", "--image-size", "64", "--group-pattern", "(lot-.)")
    sides.both("calibrate", NAME, "held-out")


def test_a_detector_is_fitted_extended_and_calibrated(sides: Sides) -> None:
    """Contract: the same sentences, images left out and warnings included."""
    pattern = ("--group-pattern", "(lot-.)")
    fitted = sides.both(
        "fit", NAME, "train", "--image-size", "64", *pattern, "--option", "memory=9"
    )
    assert f"{NAME} version 2 (in service): 40 image(s) fitted now" in fitted.stdout
    assert "left out train/broken.png: the image is empty" in fitted.stderr
    drawn = sides.both("calibrate", NAME, "held-out", "--target", "0.1", "--anomalies", "odd")
    assert "at most 10 %" in drawn.stdout
    assert "not in service" in sides.both("fit", NAME, "more", "--extend").stdout
    sides.both("forget", NAME, "--group", "lot-1")
    content = Path("train/lot-0/0.bmp").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    assert "1 image(s) forgotten" in sides.both("forget", NAME, "--sha256", digest).stdout
    with Client(sides.url) as client:
        tip = client.detector(NAME).tip
        groups = {each.group for each in client.fitted_images(NAME, tip) if "lot" in each.name}
        assert client.version(NAME, 2).lineage.reason == ""
    assert groups == {"lot-0"}


def test_a_threshold_is_told_and_drawn(sides: Sides) -> None:
    """Contract: read, drawn, drawn by hand at 0, refused."""
    learn(sides)
    sides.both("threshold", NAME)
    sides.both("threshold", NAME, "--method", "ksigma", "--parameter", "k=2.5")
    told = sides.both("threshold", NAME, "--method", "manual", "--parameter", "value=0")
    assert "threshold 0\n" in told.stdout
    sides.both("threshold", NAME, "--review-target", "0.2", "--target", "0.1")
    for bad in (
        ("--target", "0"),
        ("--target", "nan"),
        ("--target", "0.0001"),
        ("--review-target", "2"),
        ("--method", "magic"),
        ("--parameter", "k=1"),
        ("--parameter", "k"),
    ):
        assert sides.both("threshold", NAME, *bad, exit_code=1).stderr.startswith("gatewatch: ")


def test_images_are_scored(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: as a table and as JSON, one that is none in its place; parts make one list."""
    learn(sides)
    table = sides.both("score", NAME, "today", "odd/0.bmp")
    assert "invalid: " in table.stdout
    told = json.loads(sides.both("score", NAME, "today", "odd", "--group", "g", "--json").stdout)
    names = [result["name"] for result in told["results"]]
    assert 'today/an "odd" ö.bmp' in names
    assert [result["index"] for result in told["results"]] == list(range(len(names)))
    monkeypatch.setattr("app.commands.parts.PART_BYTES", 7_000_000)  # three make a full request
    parted = json.loads(
        sides.remote("score", NAME, "today", "odd", "--group", "g", "--json").stdout
    )
    assert [result["score"] for result in parted["results"]] == pytest.approx(
        [result["score"] for result in told["results"]], nan_ok=True
    )


def test_maps_are_drawn(sides: Sides, tmp_path: Path) -> None:
    """Law: the same bytes."""
    learn(sides)
    for name in ("a.png", "a.npy"):
        written = []
        for run in (sides.local, sides.remote):
            ended = run("map", NAME, "odd/0.bmp", "--out", str(tmp_path / name))
            assert ended.exit_code == 0, ended.output
            written.append((ended.stdout, (tmp_path / name).read_bytes()))
        assert written[0] == written[1]
    sides.both("map", NAME, "bad/broken.png", "--out", str(tmp_path / "b.png"), exit_code=1)
    assert not (tmp_path / "b.png").exists()


def test_the_past_is_looked_at_again(sides: Sides) -> None:
    """Contract: replay, replay of drift, power; tables and JSON."""
    learn(sides)
    sides.both("score", NAME, "held-out", "odd", "--json")
    with Client(sides.url) as client:
        until("42 images are kept", lambda: len([*client.history(NAME)]) == 42)
    assert "of 42 images" in sides.both("replay", NAME, "--value", "0").stdout
    for more in (("--target", "0.2"), ("--scorer", "regional", "--target", "0.2"), ("--drift",)):
        sides.both("replay", NAME, *more)
        assert json.loads(sides.both("replay", NAME, *more, "--json").stdout)["images"] == 42
    sides.both("replay", NAME, "--drift", "--promise", "2", "--until", "1h")
    sides.both("replay", NAME, "--target", "7", exit_code=1)
    sides.both("replay", NAME, "--scorer", "magic", exit_code=1)
    assert "seen" in sides.both("power", NAME, "--shift", "2").stdout
    sides.both("power", NAME, "--shift", "2", "--promise", "500", "--json")


def test_a_detector_is_moved(sides: Sides, tmp_path: Path) -> None:
    """Contract: into a folder, under the same name; what came from either side is taken by both."""
    learn(sides)
    (tmp_path / "out").mkdir()
    for run in (sides.local, sides.remote):
        ended = run("export", NAME, "--out", str(tmp_path / "out"), "--rows")
        assert ended.exit_code == 0, ended.output
        (file,) = (tmp_path / "out").iterdir()
        assert file.name == f"{NAME}-v3.gatewatch"
        assert f"{NAME} version 3: {file}, {file.stat().st_size} bytes" in ended.stdout
        sides.both("import", str(file), "--name", f"from-{run.__name__}")
        file.unlink()
    sides.both("export", NAME, "--out", str(tmp_path / "out"), "--version", "9", exit_code=1)
    assert list((tmp_path / "out").iterdir()) == []
    sides.both("import", "left.json", exit_code=1)


FAILURES = [
    ("score", "nobody", "today"),
    ("score", "../x", "today"),
    ("calibrate", "nobody", "held-out"),
    ("threshold", "nobody"),
    ("forget", "nobody", "--group", "g"),
    ("replay", "nobody", "--drift"),
    ("power", "nobody"),
    ("export", "nobody", "--out", "nobody"),
    ("fit", "x", "bad"),
    ("fit", "x", "nothing-here"),
    ("fit", "x", "train", "--scorer", "psychic"),
    ("fit", "x", "train", "--descriptor", "vibes"),
    ("fit", "x", "train", "--image-size", "63"),
    ("fit", "../x", "train"),
    ("fit", "", "train"),
    ("fit", "x", "train", "--option", "blocks=nowhere"),
    ("fit", "x", "train", "--roi", "bad/broken.png"),
    ("fit", "x", "train", "--mask", "nowhere.png"),
    ("fit", "x", "train", "--group-pattern", "("),
    ("fit", "x", "train", "--roi", "left.json", "--mask", "left.json"),
    ("forget", "x"),
    ("forget", "x", "--sha256", "abc"),
]


@pytest.mark.parametrize("arguments", FAILURES, ids=lambda words: "-".join(words).replace("/", "_"))
def test_what_cannot_be_done_is_said_alike(sides: Sides, arguments: tuple[str, ...]) -> None:
    """Contract: the same words and exit code, and no traceback."""
    usage = {"nothing-here", "abc"} & {*arguments} or arguments == ("forget", "x")
    ended = sides.both(*arguments, exit_code=2 if usage else 1)
    assert ended.stderr
    assert "Traceback" not in ended.output


def test_jobs_are_cancelled(sides: Sides) -> None:
    """Contract: by a server alone; an unknown one is refused."""
    here = sides.local("cancel", "0" * 32)
    assert (here.exit_code, "--url" in here.stderr) == (2, True)
    assert sides.remote("cancel", "0" * 32).exit_code == 1
    learn(sides)
    with Client(sides.url) as client:
        (job,) = client.jobs(limit=1)
    refused = sides.remote("cancel", job.id)
    assert refused.exit_code == 1
    assert "ended" in refused.stderr


def test_where_nobody_answers(sides: Sides) -> None:
    """Contract: one sentence, at once; exit code 1, and 2 for what is no address."""
    address = f"http://127.0.0.1:{free_port()}"
    ended = CliRunner().invoke(cli, ["score", NAME, "today", "--url", address])
    assert ended.exit_code == 1
    assert f"nobody answers at {address}" in ended.stderr
    for wrong in ("localhost:8000", "ftp://here", "http://"):
        ended = CliRunner().invoke(cli, ["threshold", NAME, "--url", wrong])
        assert (ended.exit_code, "is no address" in ended.stderr) == (2, True)


def test_the_environment_names_the_server(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: GATEWATCH_URL as --url; an empty address is here."""
    learn(sides)
    with Client(sides.url) as client:
        client.set_threshold(NAME, 0.3)
    monkeypatch.setenv("GATEWATCH_URL", sides.url)
    assert f"{NAME} version 4" in sides.local("threshold", NAME).stdout
    assert f"{NAME} version 3" in sides.local("threshold", NAME, "--url", "").stdout


def test_an_interrupt_leaves_the_job_to_the_server(sides: Sides, tmp_path: Path) -> None:
    """Contract: exit code 130; says that it goes on, and how to stop it, which then works."""
    slow = {}
    for at in range(120):  # a minute: it goes on, however slowly the command ends
        pixels = np.full((64, 64, 3), at % 5, np.uint8)
        pixels[0, 0] = (at % 5, at // 5 % 5, at // 25)
        slow[f"slow/{at}.bmp"] = encode(pixels, "BMP")
    command = ["fit", "slow", str(folder_of(tmp_path, slow)), "--url", sides.url]
    # A shell that runs the tests in the background has them, and all they start, ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", *command],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    signal.signal(signal.SIGINT, before)
    try:
        with Client(sides.url) as client:
            begun = lambda: any(job.images_done for job in client.jobs(detector="slow"))  # noqa: E731
            until("the job has begun", begun)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=120)
            assert process.returncode == 130, said
            (job,) = client.jobs(detector="slow")
            assert job.state == "running"
            assert f"gatewatch cancel {job.id}" in said
            assert "Traceback" not in said
            assert "is being cancelled" in sides.remote("cancel", job.id).stdout
            until("it has ended", lambda: client.job_info(job.id).state == "cancelled")
    finally:
        process.kill()
        process.wait()
