"""``gatewatch bench``: its files, their figures, and what it refuses."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.bench.command import spread
from detector.detector import Spec

Run = Any
REQUIRED = {
    "set": str,
    "backbone": str,
    "descriptor": str,
    "scorer": str,
    "default": bool,
    "seed": int,
    "auroc": float,
    "fit_seconds": float,
    "ms_per_image": float,
    "detector_bytes": int,
    "peak_rss_bytes": int,
}


def rows_of(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((out / "results.json").read_text())
    return rows


def figures(out: Path) -> list[tuple[Any, ...]]:
    """What must not depend on the clock."""
    keys = ("set", "descriptor", "scorer", "seed", "auroc", "auroc_low", "auroc_high")
    return [tuple(row[key] for key in keys) for row in rows_of(out)]


@pytest.fixture
def small(bench: Run, tmp_path: Path) -> Any:
    """Run at 64 px into a folder of the test; return that folder."""

    def small(*arguments: object, name: str = "out") -> Path:
        bench(*arguments, "--out", tmp_path / name, "--size", 64)
        return tmp_path / name

    return small


def test_results_have_the_stated_keys(small: Any, defect_set: Path) -> None:
    """Contract: one row per configuration, exactly one of them the service's default."""
    rows = rows_of(small(defect_set))

    for row in rows:
        assert {key: type(row[key]) for key in REQUIRED} == REQUIRED
        assert row["pixel_auroc"] is None or 0 <= row["pixel_auroc"] <= 1
        assert (row["set"], row["backbone"], row["seed"]) == ("gravel", "se-lite0", 0)
        assert (row["size"], row["train_images"], row["test_images"]) == (64, 12, 10)
        assert 0 <= row["auroc_low"] <= row["auroc"] <= row["auroc_high"] <= 1
        assert min(row["fit_seconds"], row["ms_per_image"]) > 0
        assert row["detector_bytes"] > 10_000
        assert row["peak_rss_bytes"] > 50e6
    pairs = [(row["descriptor"], row["scorer"]) for row in rows]
    assert len(pairs) == len(set(pairs)) > 3
    (default,) = (row for row in rows if row["default"])
    assert default["auroc"] == 1.0  # a bright square on gravel


def test_csv_and_summary_say_the_same(small: Any, defect_set: Path) -> None:
    """Contract: the same rows as CSV; the table names every configuration and the set."""
    out = small(defect_set)
    rows = rows_of(out)

    with (out / "results.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows] == read
    summary = (out / "summary.md").read_text()
    assert "| configuration | gravel | mean | worst mean |" in summary
    for row in rows:
        name = f"{row['descriptor']}/{row['scorer']}"
        bold = f"| **{name}** (se-lite0, default) |"
        assert (bold if row["default"] else f"| {name} (se-lite0) |") in summary
    assert "## Left out" not in summary


def test_plots_are_pictures(small: Any, defect_set: Path, classes: Path) -> None:
    """Contract: one ROC plot, and per set a histogram and a sheet of the worst errors."""
    out = small(defect_set, classes, "--config", "squeeze/prototype")

    names = {path.name for path in out.glob("*.png")}
    for stem in ("gravel", "tints-blue", "tints-green", "tints-red"):
        assert {f"histogram-{stem}.png", f"errors-{stem}.png"} <= names
    assert "roc.png" in names
    for path in out.glob("*.png"):
        with Image.open(path) as image:
            extrema = image.convert("L").getextrema()
        assert extrema[0] < 100 < 250 < extrema[1], f"{path.name} is empty"


def test_seeds_draw_and_decide(small: Any, defect_set: Path) -> None:
    """Law: a seed gives the same figures again; another seed fits other images."""
    chosen = ("--config", "squeeze/prototype", "gate/prototype", "--train-limit", 3, "--seeds")
    first = small(defect_set, *chosen, 0, 1, name="first")
    again = small(defect_set, *chosen, 0, 1, name="again")
    second = small(defect_set, *chosen, 1, name="second")

    assert [row["seed"] for row in rows_of(first)] == [0, 0, 1, 1]
    assert {row["train_images"] for row in rows_of(first)} == {3}
    assert figures(first) == figures(again)
    assert figures(first)[2:] == figures(second)


def test_classes_are_told_apart(small: Any, classes: Path) -> None:
    """Contract: every class in turn; a tint is easy, so that a wrong label would show."""
    rows = rows_of(small(classes, "--config", "squeeze/prototype"))

    assert [row["set"] for row in rows] == ["tints/blue", "tints/green", "tints/red"]
    assert [row["auroc"] for row in rows] == [1.0, 1.0, 1.0]
    assert {(row["train_images"], row["test_images"]) for row in rows} == {(6, 12)}


def test_the_unreadable_is_listed_and_left_out(
    bench: Run, defect_set: Path, tmp_path: Path
) -> None:
    """Contract: in training and in test; the others count, and the summary names both."""
    copy = shutil.copytree(defect_set, tmp_path / "copy")
    broken = copy / "train" / "good" / "000.png", copy / "test" / "square" / "004.png"
    for path in broken:
        path.write_bytes(b"no image")
    out = tmp_path / "out"

    ended = bench(copy, "--out", out, "--size", 64, "--config", "gate/prototype")

    (row,) = rows_of(out)
    assert (row["train_images"], row["test_images"]) == (11, 9)
    for path in broken:
        assert f"left out {path}: not an image" in ended.stderr
        assert f"- {path}: not an image" in (out / "summary.md").read_text()


def test_what_cannot_be_fitted_is_listed_and_left_out(
    bench: Run, defect_set: Path, tmp_path: Path
) -> None:
    """Contract: one image gives no covariance, but a prototype; alone, it is an error."""
    out = tmp_path / "out"
    one = (defect_set, "--out", out, "--size", 64, "--train-limit", 1, "--config")

    ended = bench(*one, "squeeze/gaussian", "squeeze/prototype")
    assert [row["scorer"] for row in rows_of(out)] == ["prototype"]
    assert "left out squeeze/gaussian on gravel" in ended.stderr

    assert "no configuration could be fitted" in bench(*one, "squeeze/gaussian", exit_code=1).stderr


def test_lists_end_where_values_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contract: several values after one option; folders after them stay folders."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets" / "bottle").mkdir(parents=True)

    assert spread(["--seeds", "0", "1", "2", "a", "3"]) == (
        ["--seeds", "0", "--seeds", "1", "--seeds", "2", "a", "3"]
    )
    assert spread(["--config", "gate/kl", "squeeze/kl", "sets/bottle"]) == (
        ["--config", "gate/kl", "--config", "squeeze/kl", "sets/bottle"]
    )
    assert spread(["--seeds", "0", "--out", "1", "--seeds"]) == (
        ["--seeds", "0", "--out", "1", "--seeds"]
    )


@pytest.mark.slow
def test_defects_of_bsdata_are_found(bench: Run, data_dir: Path, tmp_path: Path) -> None:
    """Reference: the floor that the service's default must hold on real defects."""
    default = Spec("x", "se-lite0", "")
    pair = f"{default.descriptor}/{default.scorer}"
    bench(data_dir / "bsdata", "--out", tmp_path, "--config", pair)

    (row,) = rows_of(tmp_path)
    assert row["default"]
    assert (row["train_images"], row["test_images"]) == (300, 171)
    assert row["auroc"] >= 0.85
