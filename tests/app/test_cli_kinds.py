"""Commands on samples that are no images, here and at a server: one output, one code."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_helpers import Sides, both_sides, folder_of
from history_helpers import picture
from kinds_server import COMMAND, added, csv_of, points_of
from real_server import Server

from app.commands.creating import view_of
from detector.errors import InvalidSpecError

NAME = "press"


@pytest.fixture(scope="module")
def kinds_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server process that knows more kinds."""
    with Server(tmp_path_factory.mktemp("server") / "data", {}, COMMAND).serving() as server:
        yield server


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of series, of pairs, of JSON, of images; with files that are none of them."""
    contents = {f"train/{n:02}.csv": csv_of(n) for n in range(16)}
    contents |= {f"held-out/{n}.csv": csv_of(100 + n) for n in range(24)}
    contents |= {f"today/{n}.csv": csv_of(200 + n, odd=n == 2) for n in range(4)}
    contents |= {"today/broken.csv": b"no number", "train/cover.png": b"x", "today/n.txt": b"x"}
    contents |= {f"pairs/{n}.csv": csv_of(n) for n in range(16)}
    contents |= {f"pairs/{n}.txt": b"2" for n in range(16)}
    contents |= {"odd/a.csv": csv_of(1), "odd/a.txt": b"40", "odd/b.csv": csv_of(1)}
    contents |= {f"json/{n}.json": json.dumps(points_of(n)).encode() for n in range(16)}
    contents |= {f"images/{n}.bmp": picture(n) for n in range(20)}
    return folder_of(tmp_path_factory.mktemp("folders"), contents)


@pytest.fixture
def sides(
    kinds_server: Server, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sides]:
    """Both sides, without detectors, among the folders."""
    added(monkeypatch)
    with both_sides(kinds_server, monkeypatch, data=tmp_path / "data", folder=folders) as sides:
        yield sides


def scores(sides: Sides, *arguments: str) -> list[dict[str, Any]]:
    """Return what both sides have scored.

    Each has trained a network of its own, which saw the samples in another order: by their names
    here, by their digests there.
    """
    sent = ("score", *arguments, "--json")
    here, there = (json.loads(run(*sent).stdout)["results"] for run in (sides.local, sides.remote))
    for mine, theirs in zip(here, there, strict=True):
        assert (mine["name"], mine["verdict"]) == (theirs["name"], theirs["verdict"])
        if mine["score"] is not None:
            assert mine["score"] == pytest.approx(theirs["score"], rel=0.2)
    return list(there)


def test_a_detector_of_another_kind_lives(sides: Sides, tmp_path: Path) -> None:
    """Contract: created, fitted, calibrated, scored, drawn; only files of its kind are taken."""
    created = sides.both("create", NAME, "--kind", "series", "--view", "every=2")
    assert "press: kind series (every=2), scorer gaussian" in created.stdout
    fitted = sides.both("fit", NAME, "train")
    assert "16 sample(s) fitted now, 16 fitted in all" in fitted.stdout
    assert "left out" not in fitted.stderr
    sides.local("calibrate", NAME, "held-out", "--target", "0.1")
    assert "threshold " in sides.remote("calibrate", NAME, "held-out", "--target", "0.1").stdout
    assert "4 sample(s) fitted now" in sides.both("fit", NAME, "today", "--extend").stdout

    found = scores(sides, NAME, "today", "held-out/1.csv")
    assert [each["name"] for each in found] == [
        *(f"today/{n}.csv" for n in range(4)),
        "today/broken.csv",
        "held-out/1.csv",
    ]
    assert found[4]["verdict"] == "invalid"
    assert {each["places"] is None for each in found} == {True}
    (told,) = scores(sides, NAME, "today/2.csv", "--places")
    assert sum(told["places"][0]["shares"]) == pytest.approx(told["score"], rel=1e-3)
    for run in (sides.local, sides.remote):
        table = run("score", NAME, "today").stdout
        assert re.search(r"series.*score.*threshold", table)
        ended = run("map", NAME, "today/2.csv", "--out", str(tmp_path / "map.png"))
        assert ended.exit_code == 0, ended.output
        assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
        (tmp_path / "map.png").unlink()
        assert re.search(rf"{NAME} .*series", run("detectors").stdout)


def test_a_fit_creates_and_shows_how_far_training_is(sides: Sides) -> None:
    """Contract: --kind and --view as --scorer; steps of training count before the samples do."""
    for run in (sides.local, sides.remote):
        said = run("fit", "new", "train", "--kind", "series", "--view", "every=4")
        assert said.exit_code == 0, said.output
        bars = [int(total) for total in re.findall(r"/(\d+) \[", said.stderr)]
        assert max(bars) == 16 + 16 + 4  # read, learned from, and embedded; 4 steps
    again = sides.both("fit", "new", "train", "--view", "every=4", exit_code=1)
    assert "view can only be given to a new one" in again.stderr


def test_images_are_as_ever(sides: Sides) -> None:
    """Contract: of a folder of all sorts, images alone."""
    sides.both("fit", "bolts", "images", "--image-size", "64", "--scorer", "prototype")
    (one,) = scores(sides, "bolts", "train")
    assert (one["name"], one["verdict"]) == ("train/cover.png", "invalid")
    assert "no image in today" in sides.both("score", "bolts", "today", exit_code=1).stderr


def test_pairs_are_a_file_and_the_text_beside_it(sides: Sides, tmp_path: Path) -> None:
    """Law: the text counts, on both sides alike; a file without one is a sample as it is."""
    assert "16 sample(s)" in sides.both("fit", "pairs", "pairs", "--kind", "scaled").stdout
    loud, plain = scores(sides, "pairs", "odd")
    assert (loud["name"], plain["name"]) == ("odd/a.csv", "odd/b.csv")
    assert loud["score"] > 2 * plain["score"]
    said = sides.remote("map", "pairs", "odd/a.csv", "--out", str(tmp_path / "a.png")).stdout
    assert f"score {loud['score']:.4g};" in said


def test_a_file_given_twice_has_two_results(sides: Sides, folders: Path) -> None:
    """Contract: beside one without a text, one that two want, and those that are no text."""
    sides.both("fit", "pairs", "pairs", "--kind", "scaled")
    contents = {"a.csv": csv_of(1), "a.txt": b"40", "b.csv": csv_of(1), "bad.csv": csv_of(1)}
    contents |= {"bad.txt": b"\xff", "two.csv": csv_of(1), "two.CSV": csv_of(1), "two.txt": b"40"}
    folder_of(folders / "twice", contents)
    found = scores(sides, "pairs", "twice", "twice/a.csv", "twice/a.csv")
    names = ["a.csv", "b.csv", "bad.csv", "two.CSV", "two.csv", "a.csv", "a.csv"]
    assert [each["name"] for each in found] == [f"twice/{name}" for name in names]
    assert [each["index"] for each in found] == list(range(7))
    loud, plain, bad, *twins = (each["score"] for each in found)
    assert loud > 2 * plain
    assert twins == pytest.approx([plain, plain, loud, loud], rel=1e-5)
    assert bad is None
    assert "its text is no UTF-8" in found[2]["problem"]["detail"]
    refused = sides.both("map", "pairs", "twice/bad.csv", "--out", "m.png", exit_code=1)
    assert "its text is no UTF-8" in refused.stderr
    for each in (sides.local, sides.remote):
        ended = each("score", "pairs", "twice", "--places")
        assert ended.exit_code == 2
        assert "--json" in ended.stderr


def test_samples_that_are_json(sides: Sides) -> None:
    """Contract: as files."""
    assert "16 sample(s)" in sides.both("fit", "points", "json", "--kind", "points").stdout
    assert len(scores(sides, "points", "json")) == 16


REFUSED = [
    ("create", "x", "--kind", "smell"),
    ("create", "x", "--kind", "series", "--view", "each=2"),
    ("create", "x", "--kind", "series", "--view", "every"),
    ("create", "x", "--kind", "series", "--view", "every=2.5"),
    ("create", "x", "--kind", "series", "--scorer", "fusion"),
    ("create", "x", "--view", "every=2"),
    ("create", "x", "--image-size", "7"),
    ("create", "../x"),
    ("fit", "x", "train", "--kind", "smell"),
    ("fit", "x", "images", "--kind", "series"),
]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_what_cannot_be_is_said_alike(sides: Sides, arguments: tuple[str, ...]) -> None:
    """Contract: the same words and exit code, and no detector."""
    assert sides.both(*arguments, exit_code=1).stderr.startswith("gatewatch: ")
    assert json.loads(sides.both("detectors", "--json").stdout) == {"detectors": []}


@pytest.mark.parametrize(
    "large",
    [
        ("--shard", "1/2", "--out", "a.part"),
        ("--engine", "ray"),
        ("--hold-out", "0.2"),
        ("held-out",),
    ],
    ids=" ".join,
)
def test_a_fit_at_large_is_of_images(sides: Sides, large: tuple[str, ...]) -> None:
    """Contract: of another kind it is refused, whether the detector is there or asked for."""
    refused = sides.local("fit", "x", "train", *large, "--kind", "series")
    sides.local("create", NAME, "--kind", "series")
    for ended in (refused, sides.local("fit", NAME, "train", *large)):
        assert ended.exit_code == 1
        assert "a fit at large is of images" in ended.stderr
        assert "Traceback" not in ended.output


def test_views_are_read_from_text() -> None:
    """Contract: numbers and truth values as JSON has them, the rest is text."""
    said = ["rate_hz=16000", "share=0.5", "mono=true", "window=hann", "a==b", "n=NaN", "l=[1]"]
    assert view_of(said) == {
        "rate_hz": 16000,
        "share": 0.5,
        "mono": True,
        "window": "hann",
        "a": "=b",
        "n": "NaN",
        "l": "[1]",
    }
    assert view_of(None) is None
    for bad in (["a"], ["a=1", "a=2"]):
        with pytest.raises(InvalidSpecError, match="KEY=VALUE"):
            view_of(bad)
