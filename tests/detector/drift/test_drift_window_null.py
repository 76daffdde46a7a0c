"""The window test's promise and power, on skewed rows with heavy tails and on real ones."""

from pathlib import Path

import numpy as np
import pytest
from embedding_helpers import embed_all
from PIL import Image
from scipy.stats import kstest

from benchmarks.drift_windows import Change, World, result_of, shifted, spread
from detector.drift.window_p_value import p_value
from detector.drift.window_space import Axes
from detector.drift.window_statistics import STATISTICS, Pool
from detector.embedder import Embedder


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_p_values_are_uniform_where_nothing_has_changed() -> None:
    """Law: 500 windows of 64 of 120 channels, 100 fitted, 150 calibrated; by Kolmogorov's test."""
    world, rng = World.of(1), np.random.default_rng(5)
    sizes = (100, 150, 64)
    found = [result_of(world, rng, level=0.005, sizes=sizes) for _ in range(500)]
    p = np.array([each.p for each in found])

    assert kstest(p, "uniform").pvalue > 0.01
    for a in (0.01, 0.05):
        assert np.mean(p <= a) <= a + 3 * np.sqrt(a / len(p))
    for name in STATISTICS:
        assert kstest([each.each[name] for each in found], "uniform").pvalue > 0.001, name


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_p_values_are_uniform_on_real_rows(embedder: Embedder, data_dir: Path) -> None:
    """Law: the same over 400 random parts of 260 real pictures, 1,808 channels, 80 fitted."""
    files = sorted((data_dir / "bsdata" / "train" / "good").iterdir())
    files = [files[i] for i in np.linspace(0, len(files) - 1, 260).astype(int)]
    seen = embed_all(embedder, [np.array(Image.open(f).convert("RGB")) for f in files], 64)
    rows = np.concatenate(list(seen.mean.values()), axis=1)
    axes = Axes.of(rows[::3][:80])
    rest = np.delete(rows, np.arange(0, 240, 3), axis=0)
    where = axes.project(rest, 16)
    channels = axes.standardised(rest)
    scores = np.sqrt(np.mean(channels**2, axis=1))
    p = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(rest))
        p.append(p_value(Pool(where[order], channels[order], scores[order], 64), 0.005, rng).p)

    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 / len(p))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "least", "most"),
    [
        (shifted(0.5), 0.8, 1.0),
        (shifted(0.25), 0.08, 0.5),
        (spread(1.25), 0.9, 1.0),
        (spread(1.1), 0.15, 0.65),
    ],
    ids=["shift 0.5", "shift 0.25", "spread 1.25", "spread 1.1"],
)
def test_changes_are_seen_as_often_as_measured(change: Change, least: float, most: float) -> None:
    """Law: the benchmark's shares of windows with p <= 0.05, with slack for 60 of them."""
    world, rng = World.of(0), np.random.default_rng(0)
    found = [result_of(world, rng, change).p <= 0.05 for _ in range(60)]
    assert least <= np.mean(found) <= most


@pytest.mark.usefixtures("unchecked")
def test_the_least_p_sees_what_the_divergence_does_not() -> None:
    """Law: of windows spread by 1.25, the diagonal divergence alone misses what all four see."""
    world, rng = World.of(0), np.random.default_rng(1)
    found = [result_of(world, rng, spread(1.25)) for _ in range(40)]
    alone = np.mean([each.each["diagonal"] <= 0.05 for each in found])
    assert np.mean([each.p <= 0.05 for each in found]) > alone + 0.05
