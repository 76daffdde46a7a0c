"""The report's figures from rows: means, intervals, curves; what is missing shows as missing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp
from sklearn.metrics import roc_curve as reference_curve

from app.bench import summary
from app.bench.configurations import Configuration
from app.bench.plots import roc_curve
from app.bench.results import Row, write_csv, write_json
from app.bench.run import Failure

ROW = Row(
    set="a",
    backbone="net",
    descriptor="squeeze",
    scorer="gaussian",
    options="",
    default=True,
    seed=0,
    size=64,
    train_images=5,
    test_images=9,
    auroc=0.75,
    auroc_low=0.5,
    auroc_high=0.9,
    pixel_auroc=None,
    pro=None,
    fit_seconds=1.5,
    ms_per_image=12.0,
    detector_bytes=2_000_000,
    peak_rss_bytes=300_000_000,
)
PEER = replace(
    ROW, backbone="net trunk", descriptor="-", scorer="anomalib-dfm", default=False, auroc=0.5
)


def written(tmp_path: Path, *rows: Row, failures: list[Failure] | None = None) -> str:
    path = tmp_path / "summary.md"
    summary.write(rows, failures or [], {Path("odd.png"): "not an image"}, path)
    return path.read_text()


def test_means_over_sets_and_with_each_left_out() -> None:
    """Reference: by hand; the worst mean leaves out the set that flatters most."""
    values = {"a": 0.9, "b": 0.6, "c": 0.75}
    rows = [replace(ROW, set=name, auroc=value) for name, value in values.items()]
    table = summary.Table(rows)

    assert table.sets == ["a", "b", "c"]
    assert table.means(("net", "squeeze", "gaussian", "")) == pytest.approx((0.75, 0.675))


def test_seeds_are_averaged_before_sets() -> None:
    """Law: a set with more seeds weighs no more than the others."""
    rows = [replace(ROW, seed=seed, auroc=value) for seed, value in enumerate((0.5, 0.7))]
    table = summary.Table([*rows, replace(ROW, set="b", auroc=0.9)])

    assert table.means(("net", "squeeze", "gaussian", "")) == pytest.approx((0.75, 0.6))


def test_one_set_is_its_own_worst_mean_and_a_gap_has_none(tmp_path: Path) -> None:
    """Contract: nothing is averaged over fewer sets than the others have."""
    assert summary.Table([ROW]).means(("net", "squeeze", "gaussian", "")) == (0.75, 0.75)
    rows = [ROW, replace(ROW, set="b"), replace(PEER, set="b")]

    table = summary.Table(rows)

    assert table.means(("net trunk", "-", "anomalib-dfm", "")) is None
    assert "| anomalib-dfm (net trunk) | - | 0.5000 [0.500, 0.900] | - | - |" in (
        written(tmp_path, *rows)
    )


def test_interval_is_over_images_or_over_seeds() -> None:
    """Reference: DeLong's of the row for one seed, SciPy's t-interval for several."""
    assert summary.interval([ROW]) == (0.5, 0.9)
    assert summary.interval([replace(ROW, auroc_low=None)]) is None
    values = [0.7, 0.75, 0.82]
    expected = ttest_1samp(values, 0).confidence_interval(0.95)

    low, high = summary.interval([replace(ROW, auroc=value) for value in values]) or (0, 0)

    assert (low, high) == pytest.approx((expected.low, expected.high))
    assert high - low > 2 * t.ppf(0.975, 2) * 0.03


def test_summary_names_what_was_compared_and_left_out(tmp_path: Path) -> None:
    """Contract: notes on anomalib only where it took part; failures and files by name."""
    failure = Failure("b", Configuration("net", "gate", "kl"), "too few images")
    alone = written(tmp_path, ROW, failures=[failure])
    assert "- gate/kl on b: too few images" in alone
    assert "- odd.png: not an image" in alone
    assert "anomalib runs" not in alone
    assert "Pixel AUROC / PRO" not in alone
    assert "| **squeeze/gaussian** (net, default) | 1.5 | 12.0 | 2.00 | 300 |" in alone

    compared = written(tmp_path, ROW, replace(PEER, pixel_auroc=0.9, pro=0.25))
    assert "coreset of 1 %" in compared
    assert "| **squeeze/gaussian** (net, default) | - |" in compared
    changed = written(tmp_path, ROW, replace(ROW, options="memory=9", default=False))
    assert "| squeeze/gaussian:memory=9 (net) | 1.5 |" in changed
    assert "| anomalib-dfm (net trunk) | 0.9000 / 0.2500 |" in compared


def test_files_keep_what_is_missing_apart_from_zero(tmp_path: Path) -> None:
    """Contract: null in JSON, empty in CSV; not-a-number is refused."""
    write_json([ROW], tmp_path / "rows.json")
    write_csv([ROW], tmp_path / "rows.csv")

    assert json.loads((tmp_path / "rows.json").read_text())[0]["pixel_auroc"] is None
    heading, line = (tmp_path / "rows.csv").read_text().splitlines()
    assert line.split(",")[heading.split(",").index("pixel_auroc")] == ""
    with pytest.raises(ValueError, match="JSON"):
        write_json([replace(ROW, auroc=float("nan"))], tmp_path / "rows.json")


def test_curve_equals_scikit_learn() -> None:
    """Reference: sklearn.metrics.roc_curve at every threshold, with ties."""
    rng = np.random.default_rng(0)
    anomalous = rng.random(60) < 0.3
    scores = np.round(rng.normal(size=60) + anomalous, 1)

    false, true = roc_curve(scores, anomalous)

    expected_false, expected_true, _ = reference_curve(anomalous, scores, drop_intermediate=False)
    assert np.allclose(false, expected_false)
    assert np.allclose(true, expected_true)
