"""Contract: what cannot be fitted at large is refused in words, and changes nothing."""

import json
import sys
from pathlib import Path

import pytest
from bulk_command_helpers import HELD, IMAGES, SIZE, Run
from bulk_helpers import as_folder, as_tar, pictures


def test_images_that_fail_are_listed(run: Run) -> None:
    """Contract: the first are told, all are in a file; too many are no detector."""
    as_folder(Path("top"), {f"bad/{at}.png": b"no image" for at in range(8)})
    said = run("fit", "bolts", "top", *SIZE, *HELD, "--rejected", "bad.ndjson")
    assert said.stderr.count("left out top/bad/") == 5
    assert "left out 3 more; all are in bad.ndjson" in said.stderr
    listed = [json.loads(line) for line in Path("bad.ndjson").read_text().splitlines()]
    assert [each["name"] for each in listed] == [f"top/bad/{at}.png" for at in range(8)]
    assert all(each["problem"]["status"] == 422 for each in listed)
    less = ("--most-failed", "0.05")
    said = run("fit", "nuts", "top", *SIZE, *HELD, *less, exit_code=1)
    assert f"8 of {IMAGES + 8} images could not be used, more than 5%" in said.stderr
    assert Path("data/bulk/nuts.part").exists()  # to finish otherwise without another look
    assert "no detector" in run("score", "nuts", "top", exit_code=1).stderr
    run("fit", "nuts", "top", *SIZE, *HELD)
    assert not Path("data/bulk/nuts.part").exists()


@pytest.mark.parametrize(
    "method",
    [("evt", "--target", "0.0001"), ("ksigma", "--parameter", "k=3"), ("f1",)],
    ids=lambda words: words[0],
)
def test_a_line_that_cannot_be_drawn_changes_nothing(method: tuple[str, ...], run: Run) -> None:
    """Contract: neither a version nor a detector is made."""
    held = ("--hold-out", "0.02", "--calibration-images", "1")
    said = run("fit", "bolts", "top", *SIZE, *held, "--method", *method, exit_code=1).stderr
    assert "gatewatch: " in said
    assert "no detector" in run("score", "bolts", "top", exit_code=1).stderr


def test_damaged_files_are_told_and_refused(run: Run) -> None:
    """Contract: each of them, before images; no detector, unless it is allowed."""
    for at in range(7):
        path = Path(as_tar(Path(f"{at}.tar"), pictures(10, seed=20 + at)))
        path.write_bytes(path.read_bytes()[:-20_000])
    sources = ("top", *(f"{at}.tar" for at in range(7)))
    assert (
        "7 file(s) are damaged" in run("fit", "bolts", *sources, *SIZE, *HELD, exit_code=1).stderr
    )
    assert "no detector" in run("score", "bolts", "top", exit_code=1).stderr
    allowed = ("--allow-damaged", "--rejected", "bad.ndjson")
    said = run("fit", "bolts", *sources, *SIZE, *HELD, *allowed).stderr
    assert [f"damaged {at}.tar: the images after" in said for at in range(7)] == [True] * 7
    listed = [json.loads(line) for line in Path("bad.ndjson").read_text().splitlines()]
    assert [each["problem"]["rest_of_file"] for each in listed] == [True] * 7


def test_what_was_begun_with_ray_is_not_begun_without(run: Run) -> None:
    Path("data/bulk").mkdir(parents=True)
    Path("data/bulk/bolts.part.ray").write_bytes(b"")
    said = run("fit", "bolts", "top", *SIZE, *HELD, exit_code=1).stderr
    assert "bulk/bolts.part.ray was begun with Ray" in said


def test_too_few_to_calibrate_change_nothing(run: Run) -> None:
    said = run("fit", "bolts", "top", *SIZE, *HELD, "--target", "0.01", exit_code=1).stderr
    assert "99" in said
    assert "larger --hold-out or more --calibration-images" in said
    assert "no detector" in run("score", "bolts", "top", exit_code=1).stderr
    run("fit", "bolts", "top", *SIZE, *HELD)


REFUSED = [
    (["a.tar", "--url", "http://localhost:1"], 2, "runs where its images are"),
    (["top", "--shard", "1/2"], 2, "--shard and --out go together"),
    (["top", "--out", "x"], 2, "--shard and --out go together"),
    (["top", "--shard", "3/2", "--out", "x"], 1, "there is no shard 3/2"),
    (["top", "--shard", "all", "--out", "x"], 1, "write I/N"),
    (["top", "--workers", "2"], 2, "go with --engine ray"),
    (["top", "--engine", "ray", "--decoders", "0"], 2, "greater than or equal to 1"),
    (["top", "--rejected", "nowhere/a.ndjson"], 1, "no file can be written there"),
    (["top", "--method", "cost"], 1, "cost"),
    (["top", "--hold-out", "1"], 1, "the share held out is 1.0"),
    (["top", "--hold-out", "0.1", "--method", "guess"], 1, "no threshold 'guess'"),
    (["top", "--hold-out", "0.1", "--scorer", "psychic"], 1, "no scorer 'psychic'"),
    (["top", "nowhere"], 1, "there is no file or folder nowhere"),
    (["top", "--engine", "spark"], 2, "--engine is here or ray"),
    (["top", "--engine", "ray", "--shard", "1/2", "--out", "x"], 2, "shares the work itself"),
    (["top", "--hold-out", "0.1", "--mask", "top/lot-b/000.png"], 2, "fix one with --roi"),
    (["top", "--hold-out", "0.1", "--group-pattern", "("], 1, "--group-pattern cannot be read"),
]


@pytest.mark.parametrize(("words", "exit_code", "said"), REFUSED, ids=[each[2] for each in REFUSED])
def test_what_cannot_be_is_refused(words: list[str], exit_code: int, said: str, run: Run) -> None:
    ended = run("fit", "bolts", *words, exit_code=exit_code)
    assert said in " ".join(ended.stderr.replace("│", " ").split())


def test_without_ray_it_says_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.ray.fit", None)
    monkeypatch.delattr("app.ray.fit", raising=False)  # another test may have imported it
    said = run("fit", "bolts", "top", "--engine", "ray", exit_code=1).stderr
    assert "--engine ray needs the extra [ray]" in said
